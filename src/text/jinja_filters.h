/* jinja_filters.h - the filters on sequences (jinja_filters_list.c), for the table in
 * jinja_filters.c, and a helper that the str methods share. */
#ifndef LB_TEXT_JINJA_FILTERS_H
#define LB_TEXT_JINJA_FILTERS_H

#include "jinja_builtin.h"

lb__jbuiltin_fn lb__jfilter_batch, lb__jfilter_dictsort, lb__jfilter_first, lb__jfilter_items,
    lb__jfilter_join, lb__jfilter_last, lb__jfilter_list, lb__jfilter_map, lb__jfilter_max,
    lb__jfilter_min, lb__jfilter_reject, lb__jfilter_rejectattr, lb__jfilter_reverse,
    lb__jfilter_select, lb__jfilter_selectattr, lb__jfilter_sort, lb__jfilter_sum,
    lb__jfilter_unique;

/* str.ljust (-1), center (0), rjust (1) */
lb__jval lb__jpad(lb__jrun *r, const lb__jstr *s, int64_t width, lb__jval fill, int side);

#endif
