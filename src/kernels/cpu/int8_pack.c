/* int8_pack.c - weights of any type laid out for products of 8-bit integers: packed.h. */
#include "base/files.h"
#include "base/threads.h"
#include "blocks.h"
#include "packed.h"
#include "sizes.h"
#include "tensor/tensor_data.h"

lb__int8_panels lb__int8_panels_of(const lb_tensor *weight) {
  int64_t O = weight->shape[0];
  return (lb__int8_panels){.cut = lb__int8_cut_of(weight->shape[1]),
                           .O = O,
                           .rows = lb__tensor_data(weight),
                           .row_bytes = weight->size_bytes / (size_t)O,
                           .dtype = weight->dtype};
}

static size_t panel_bytes(const lb__int8_cut *c) {
  return (size_t)(lb__int8_row_bytes(c) * LB__INT8_PANEL);
}
static size_t panel_scales_bytes(const lb__int8_cut *c) {
  return (size_t)(c->n_groups * LB__INT8_PANEL) * sizeof(float);
}

size_t lb__int8_panels_bytes(int64_t panels, const lb__int8_cut *c) {
  return (size_t)panels * (panel_bytes(c) + panel_scales_bytes(c)); /* both are whole lines */
}

void lb__int8_panels_at(lb__int8_weight *out, void *memory) {
  out->values = memory;
  out->scales = (float *)(void *)(out->values + (size_t)out->panels * panel_bytes(&out->cut));
}

/* Only the last panel can have outputs that do not exist. */
static void pad(lb__int8_weight *w) {
  size_t last = (size_t)w->panels - 1, scales = panel_scales_bytes(&w->cut);
  memset(w->values + last * panel_bytes(&w->cut), LB__INT8_ZERO, panel_bytes(&w->cut));
  memset((char *)w->scales + last * scales, 0, scales);
}

static void place_output(lb__int8_weight *w, int64_t o, const lb__int8_scratch *s) {
  const lb__int8_cut *c = &w->cut;
  int64_t panel = o / LB__INT8_PANEL, lane = o % LB__INT8_PANEL;
  for (int64_t g = 0; g < c->n_groups; g++)
    w->scales[(panel * c->n_groups + g) * LB__INT8_PANEL + lane] = s->scales[g] / (float)c->block;
  uint8_t *to = w->values + (size_t)panel * panel_bytes(c) + lane * LB__INT8_DEPTH;
  int64_t n_quads = c->n_groups * c->quads;
  for (int64_t q = 0; q < n_quads; q++) { /* plus 128 is the other sign bit */
    uint32_t quad;
    memcpy(&quad, s->bytes + q * LB__INT8_DEPTH, sizeof quad);
    quad ^= 0x80808080u;
    memcpy(to + q * LB__INT8_PANEL * LB__INT8_DEPTH, &quad, sizeof quad);
  }
}

void lb__int8_pack_panels(lb__int8_weight *out, const lb__int8_panels *source, int64_t first,
                          const lb__int8_scratch *s) {
  lb__row_to_f32_fn *decode = lb__row_to_f32(source->dtype);
  const char *row = source->rows + (size_t)(first * LB__INT8_PANEL) * source->row_bytes;
  if (out->O % LB__INT8_PANEL != 0) pad(out);
  for (int64_t o = 0; o < out->O; o++, row += source->row_bytes) {
    decode(s->x, row, source->cut.I);
    lb__int8_round_row(s, s->x, &source->cut);
    place_output(out, o, s);
  }
}

/* ---- a whole weight ---- */

static void free_weight(lb__packed *p) {
  lb__int8_weight *w = (lb__int8_weight *)p;
  lb__free_aligned(w->values);
  lb__free(w);
}

typedef struct packing {
  lb__int8_weight *w;
  lb__int8_panels source;
  int64_t first; /* panel of this slice */
  char *scratch;
} packing;

static void pack_some(void *ctx, int64_t begin, int64_t end) {
  const packing *p = ctx;
  lb__int8_weight part = *p->w;
  size_t each = lb__int8_scratch_bytes(&part.cut);
  lb__int8_scratch s =
      lb__int8_scratch_at(p->scratch + each * (size_t)lb__thread_index(), &part.cut);
  begin += p->first, end += p->first;
  part.values += (size_t)begin * panel_bytes(&part.cut);
  part.scales += begin * part.cut.n_groups * LB__INT8_PANEL;
  part.panels = end - begin;
  part.O = smaller(part.O - begin * LB__INT8_PANEL, part.panels * LB__INT8_PANEL);
  lb__int8_pack_panels(&part, &p->source, begin, &s);
}

/* In slices, so that of a mapped file no more than one is resident. */
static void pack_slices(packing *p, bool drop_pages) {
  enum { SLICE_BYTES = 4 << 20 };
  size_t source_panel = p->source.row_bytes * LB__INT8_PANEL;
  int64_t step = 1 + (int64_t)(SLICE_BYTES / source_panel);
  for (; p->first < p->w->panels; p->first += step) {
    int64_t n = smaller(step, p->w->panels - p->first);
    lb__parallel_for(n, 1, pack_some, p);
    if (drop_pages && p->first + n < p->w->panels) /* the last one's end is not known here */
      lb__mapped_forget(p->source.rows + (size_t)p->first * source_panel, (size_t)n * source_panel);
  }
}

lb_status lb__int8_pack(lb__packed **out, const lb_tensor *weight, lb__compute compute,
                        bool drop_pages) {
  *out = NULL;
  int64_t O = weight->shape[0], I = weight->shape[1];
  if (compute != LB__COMPUTE_INT8 || O == 0 || I == 0 || I > LB__INT8_MOST_INPUTS)
    return LB_E_UNSUPPORTED;
  lb__int8_weight *w = lb__new(sizeof *w);
  if (w == NULL) return LB_E_NOMEM;
  packing p = {.w = w, .source = lb__int8_panels_of(weight)};
  *w = (lb__int8_weight){
      .base.free = free_weight, .cut = p.source.cut, .O = O, .panels = pieces(O, LB__INT8_PANEL)};
  size_t size = lb__int8_panels_bytes(w->panels, &w->cut);
  w->base.size_bytes = sizeof *w + size;
  void *memory = lb__alloc_aligned(size);
  p.scratch = lb__alloc_aligned(lb__int8_scratch_bytes(&w->cut) * (size_t)lb_threads_get());
  if (memory != NULL) lb__int8_panels_at(w, memory);
  bool ok = memory != NULL && p.scratch != NULL;
  if (ok) pack_slices(&p, drop_pages);
  lb__free_aligned(p.scratch);
  if (!ok) {
    free_weight(&w->base);
    return LB_E_NOMEM;
  }
  *out = &w->base;
  return LB_OK;
}
