/* svg_chart.h - a line chart as inline SVG: axes with round numbers, up to eight lines in the
 * page's colours, a legend with each line's last value. A line of
 * more points than the chart has columns is drawn by the least and greatest value of each column,
 * so that peaks stay and the page does not grow with the run.
 * Refuses: colours and fonts (the page's style), scripts. */
#ifndef LB_REPORT_SVG_CHART_H
#define LB_REPORT_SVG_CHART_H

#include "run_curves.h"

#include "base/memory.h"

enum { LB__CHART_LINES_MAX = 8 };

typedef struct lb__chart {
  const char *title;
  struct lb__chart_line {
    const char *name;
    const lb__curve *curve; /* at least a point */
    size_t colour;          /* below LB__CHART_LINES_MAX: classes c0 to c7 */
    bool is_dashed;         /* of another run */
  } lines[LB__CHART_LINES_MAX];
  size_t n;
  bool is_linear; /* never a logarithmic axis */
} lb__chart;

/* Appends a <figure>; nothing when there is no line. Values far apart (all positive, the greatest
 * over 50 times the least) get a logarithmic axis. @test tests/unit/test_report.c */
void lb__chart_add(lb__buf *b, const lb__chart *chart);

#endif
