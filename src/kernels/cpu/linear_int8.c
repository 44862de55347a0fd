/* linear_int8.c - products of rotated 8-bit integers. Owns: the cut into tasks. What the parts are:
 * packed.h. */
#include "base/threads.h"
#include "packed.h"
#include "sizes.h"
#include "tensor/tensor_data.h"

typedef struct job {
  const lb__linear_args *args;
  const lb__int8_weight *w; /* NULL: each task packs its own panels of `source` */
  lb__int8_panels source;
  lb__int8_cut cut;
  lb__int8_rows x;
  char *scratch; /* of the threads that pack */
  int64_t panels, row_step, n_row_parts, panel_step;
} job;

/* Tasks are cut by shapes only. The rows of a task should stay in a second-level cache while all
 * panels go by, a panel in the first-level one. Panels that are packed on the way meet all rows at
 * once. */
static void cut_tasks(job *j) {
  enum { ROWS_BYTES = 512 * 1024, TASK_BYTES = 128 * 1024 };
  int64_t bytes = lb__int8_row_bytes(&j->cut);
  int64_t step = 4 * lb__int8_kernels_for(j->x.N, &j->cut)->rows;
  j->row_step = ROWS_BYTES / bytes / step * step;
  if (j->row_step < step) j->row_step = step;
  if (j->w == NULL) j->row_step = j->x.N;
  j->n_row_parts = pieces(j->x.N, j->row_step);
  j->panel_step = TASK_BYTES / (bytes * LB__INT8_PANEL) / 4 * 4;
  if (j->panel_step < 4) j->panel_step = 4;
}

static job describe(const lb__linear_args *args) {
  job j = {.args = args, .w = (const lb__int8_weight *)args->weight->packed};
  if (j.w == NULL) j.source = lb__int8_panels_of(args->weight);
  j.cut = lb__int8_cut_of(args->weight->shape[1]);
  j.panels = pieces(args->weight->shape[0], LB__INT8_PANEL);
  j.x.N = args->x->shape[0];
  cut_tasks(&j);
  return j;
}

/* For each thread that packs: a part's panels, a row. */
static size_t scratch_bytes(const job *j) {
  if (j->w != NULL) return 0;
  return lb__int8_panels_bytes(j->panel_step, &j->cut) + lb__int8_scratch_bytes(&j->cut);
}

size_t lb__int8_linear_workspace(const lb__linear_args *args) {
  job j = describe(args);
  return scratch_bytes(&j) * (size_t)lb_threads_get();
}

static void pack_part(lb__int8_weight *part, const job *j, int64_t panel, int64_t n_panels) {
  char *memory = j->scratch + scratch_bytes(j) * (size_t)lb__thread_index();
  *part = (lb__int8_weight){.cut = j->cut, .panels = n_panels};
  part->O = smaller(j->source.O - panel * LB__INT8_PANEL, n_panels * LB__INT8_PANEL);
  lb__int8_panels_at(part, memory);
  lb__int8_scratch s =
      lb__int8_scratch_at(memory + lb__int8_panels_bytes(j->panel_step, &j->cut), &j->cut);
  lb__int8_pack_panels(part, &j->source, panel, &s);
}

static void run_task(const job *j, int64_t row, int64_t panel) {
  lb__int8_part p = {.weight = j->w,
                     .x = &j->x,
                     .out = lb__tensor_f32(j->args->out),
                     .ldo = j->args->weight->shape[0],
                     .row = row,
                     .n_rows = smaller(j->row_step, j->x.N - row),
                     .panel = panel,
                     .n_panels = smaller(j->panel_step, j->panels - panel)};
  if (j->args->bias != NULL) p.bias = lb__tensor_f32(j->args->bias);
  lb__int8_weight part;
  if (j->w == NULL) {
    pack_part(&part, j, panel, p.n_panels);
    p.weight = &part;
    p.panel = 0;
    p.out += panel * LB__INT8_PANEL;
    if (p.bias != NULL) p.bias += panel * LB__INT8_PANEL;
  }
  j->x.kernels->product(&p);
}

static void run_tasks(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  int64_t across = pieces(j->panels, j->panel_step);
  for (int64_t task = begin; task < end; task++)
    run_task(j, task / across * j->row_step, task % across * j->panel_step);
}

lb_status lb__int8_linear(const lb__linear_args *args, void *workspace) {
  job j = describe(args);
  j.x = lb__int8_rows_at(args->prepared, j.x.N, &j.cut);
  j.scratch = workspace;
  lb__parallel_for_dynamic(pieces(j.panels, j.panel_step) * j.n_row_parts, 1, run_tasks, &j);
  return LB_OK;
}
