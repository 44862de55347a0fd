/* svg_chart.c - see svg_chart.h. Read next: lb__chart_add, at the end. */
#include "svg_chart.h"

#include "outside_text.h"

#include <math.h>

enum { WIDTH = 480, HEIGHT = 250, LEFT = 58, RIGHT = 12, TOP = 12, BOTTOM = 30 };
enum { COLUMNS = WIDTH - LEFT - RIGHT, MOST_DOTS = 40, MOST_TICKS = 6 };
#define FAR_APART 50.0

/* An axis: values low to high become a to b. */
typedef struct axis {
  double low, high, a, b;
  bool is_log; /* low and high are then logarithms to base 10 */
} axis;

static double place(const axis *x, double value) {
  double v = x->is_log ? log10(value) : value;
  return x->a + (v - x->low) / (x->high - x->low) * (x->b - x->a);
}

static void widen(double *low, double *high, const double *values, size_t n) {
  for (size_t i = 0; i < n; i++) {
    *low = fmin(*low, values[i]);
    *high = fmax(*high, values[i]);
  }
}

/* A little room on both sides, also around a single value. */
static void give_room(axis *x, double share) {
  double room = share * (x->high - x->low);
  if (!(room > 0.0)) room = x->high != 0.0 ? 0.1 * fabs(x->high) : 1.0;
  x->low -= room;
  x->high += room;
}

static axis steps_axis(const lb__chart *chart) {
  axis x = {.low = INFINITY, .high = -INFINITY, .a = LEFT, .b = WIDTH - RIGHT};
  for (size_t i = 0; i < chart->n; i++)
    widen(&x.low, &x.high, chart->lines[i].curve->steps, chart->lines[i].curve->n);
  x.low = 0.0;
  if (!(x.high > 0.0)) x.high = 1.0;
  return x;
}

static axis values_axis(const lb__chart *chart) {
  axis y = {.low = INFINITY, .high = -INFINITY, .a = HEIGHT - BOTTOM, .b = TOP};
  for (size_t i = 0; i < chart->n; i++)
    widen(&y.low, &y.high, chart->lines[i].curve->values, chart->lines[i].curve->n);
  y.is_log = !chart->is_linear && y.low > 0.0 && y.high > FAR_APART * y.low;
  if (y.is_log) y.low = log10(y.low), y.high = log10(y.high);
  give_room(&y, 0.05);
  return y;
}

/* ---- round numbers ---- */

/* 1, 2 or 5 times a power of ten: the least step that gives no more than `most` ticks. */
static double tick_step(double range, int most) {
  double power = pow(10.0, floor(log10(range / most)));
  static const double factors[] = {1.0, 2.0, 5.0, 10.0};
  for (size_t i = 0; i < 3; i++)
    if (range / (power * factors[i]) <= most) return power * factors[i];
  return power * factors[3];
}

static void add_number(lb__buf *b, double value) {
  double size = fabs(value);
  if (size >= 1e6 || (size > 0.0 && size < 1e-3))
    lb__buf_printf(b, "%.3g", value);
  else if (size >= 1000.0)
    lb__buf_printf(b, "%.0f", value);
  else
    lb__buf_printf(b, "%.4g", value);
}

static void add_tick(lb__buf *b, const axis *at, double value, bool is_across) {
  double p = place(at, value);
  if (is_across)
    lb__buf_printf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", p, HEIGHT - BOTTOM + 17);
  else
    lb__buf_printf(b,
                   "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">",
                   LEFT, p, WIDTH - RIGHT, LEFT - 6, p + 4.0);
  add_number(b, value);
  lb__buf_add_text(b, "</text>");
}

static void add_ticks(lb__buf *b, const axis *at, bool is_across) {
  double step = tick_step(at->high - at->low, MOST_TICKS);
  double first = ceil(at->low / step - 1e-9);
  for (int i = 0; i <= MOST_TICKS; i++) {
    double value = (first + i) * step;
    if (value > at->high + 1e-9 * step) break;
    if (fabs(value) < 1e-9 * step) value = 0.0;
    add_tick(b, at, value, is_across);
  }
}

/* 1, 10, 100, and where there are few of them also 2 and 5. */
static void add_log_ticks(lb__buf *b, const axis *at) {
  static const double between[] = {1.0, 2.0, 5.0};
  double decades = at->high - at->low;
  int stride = (int)ceil(decades / MOST_TICKS), n = decades < 2.5 ? 3 : 1;
  for (int power = (int)ceil(at->low) - 1; power <= at->high; power++) {
    if (power % stride != 0) continue;
    for (int i = 0; i < n; i++) {
      double value = between[i] * pow(10.0, power), where = log10(value);
      if (where >= at->low && where <= at->high) add_tick(b, at, value, false);
    }
  }
}

/* ---- lines ---- */

typedef struct pen {
  lb__buf *b;
  const axis *x, *y;
  bool is_down;
} pen;

static void draw_to(pen *p, double step, double value) {
  lb__buf_printf(p->b, "%c%.1f %.1f", p->is_down ? 'L' : 'M', place(p->x, step),
                 place(p->y, value));
  p->is_down = true;
}

/* The points of a column [from, to), as its first extreme and its second. */
static void draw_column(pen *p, const lb__curve *c, size_t from, size_t to) {
  size_t least = from, greatest = from;
  for (size_t i = from + 1; i < to; i++) {
    if (c->values[i] < c->values[least]) least = i;
    if (c->values[i] > c->values[greatest]) greatest = i;
  }
  size_t first = least < greatest ? least : greatest, second = least < greatest ? greatest : least;
  draw_to(p, c->steps[first], c->values[first]);
  if (second != first) draw_to(p, c->steps[second], c->values[second]);
}

static void draw_points(pen *p, const lb__curve *c) {
  for (size_t from = 0, to; from < c->n; from = to) {
    double column = floor(place(p->x, c->steps[from]));
    for (to = from + 1; to < c->n && c->n > 2 * COLUMNS; to++)
      if (floor(place(p->x, c->steps[to])) != column) break;
    draw_column(p, c, from, to);
  }
}

/* A dot says its value when one points at it. */
static void add_dots(lb__buf *b, const axis *x, const axis *y, const lb__curve *c) {
  if (c->n > MOST_DOTS) return;
  for (size_t i = 0; i < c->n; i++) {
    lb__buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"><title>step %.0f: ",
                   place(x, c->steps[i]), place(y, c->values[i]), c->steps[i]);
    add_number(b, c->values[i]);
    lb__buf_add_text(b, "</title></circle>");
  }
}

static void add_line(lb__buf *b, const axis *x, const axis *y, const struct lb__chart_line *line) {
  pen p = {.b = b, .x = x, .y = y};
  lb__buf_printf(b, "<g class=\"line c%zu%s\"><path d=\"", line->colour,
                 line->is_dashed ? " other" : "");
  draw_points(&p, line->curve);
  lb__buf_add_text(b, "\"/>");
  add_dots(b, x, y, line->curve);
  lb__buf_add_text(b, "</g>");
}

static void add_legend(lb__buf *b, const lb__chart *chart) {
  lb__buf_add_text(b, "<ul class=\"legend\">");
  for (size_t i = 0; i < chart->n; i++) {
    const struct lb__chart_line *line = &chart->lines[i];
    lb__buf_printf(b, "<li class=\"c%zu%s\"><i></i>", line->colour,
                   line->is_dashed ? " other" : "");
    lb__outside_add_html(b, line->name);
    lb__buf_add_text(b, " <b>");
    add_number(b, line->curve->values[line->curve->n - 1]);
    lb__buf_add_text(b, "</b></li>");
  }
  lb__buf_add_text(b, "</ul>");
}

void lb__chart_add(lb__buf *b, const lb__chart *chart) {
  if (chart->n == 0) return;
  axis x = steps_axis(chart), y = values_axis(chart);
  lb__buf_add_text(b, "<figure><figcaption>");
  lb__outside_add_html(b, chart->title);
  lb__buf_printf(b, "</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
                 HEIGHT);
  lb__outside_add_html(b, chart->title);
  lb__buf_add_text(b, "\">");
  if (y.is_log)
    add_log_ticks(b, &y);
  else
    add_ticks(b, &y, false);
  add_ticks(b, &x, true);
  for (size_t i = 0; i < chart->n; i++) add_line(b, &x, &y, &chart->lines[i]);
  lb__buf_add_text(b, "</svg>");
  add_legend(b, chart);
  lb__buf_add_text(b, "</figure>\n");
}
