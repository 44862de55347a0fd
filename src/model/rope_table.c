/* rope_table.c - inverse frequencies of rotary positions, with their scalings, in float32 exactly
 * where Transformers computes in float32 (modeling_rope_utils.py): a double here would differ by
 * 1e-6 in the logits. */
#include "model_config.h"

#include <math.h>

static lb_status refuse(const lb__hf_rope *rope, const char *name, lb_error *err) {
  return lb__fail(
      err, LB_E_UNSUPPORTED,
      "%s: rope scaling '%s' is not supported; supported: default, linear, llama3, yarn", name,
      lb__rope_type_name(rope->type));
}

/* Long waves are stretched by `factor`, short ones kept, a smooth step between (Llama 3.1). */
static float scale_llama3(float f, const lb__hf_rope *r) {
  float original = (float)r->original_max_position_embeddings;
  float low = (float)r->low_freq_factor, high = (float)r->high_freq_factor;
  float factor = (float)r->factor;
  float wavelength = (float)(2.0 * LB__PI) / f;
  if (wavelength < original / high) return f;
  if (wavelength > original / low) return f / factor;
  float smooth = (original / wavelength - low) / (high - low);
  return (1.0f - smooth) * f / factor + smooth * f;
}

/* The dimension whose wave turns `rotations` times within the original context (YaRN, eq. 17). */
static double correction_dim(double rotations, double dim, double theta, double original) {
  return dim * log(original / (rotations * 2.0 * LB__PI)) / (2.0 * log(theta));
}

static double yarn_mscale(double scale, double mscale) {
  return scale <= 1.0 ? 1.0 : 0.1 * mscale * log(scale) + 1.0;
}

static double number_or(double value, double otherwise) {
  return isnan(value) ? otherwise : value;
}

/* YaRN (arXiv:2309.00071): interpolate slow dimensions, keep fast ones, ramp in between. */
static void scale_yarn(float *inv_freq, float *magnitude, const lb__hf_rope *r, int64_t dim,
                       int64_t max_positions) {
  double original = r->original_max_position_embeddings > 0
                        ? (double)r->original_max_position_embeddings
                        : (double)max_positions;
  double factor = number_or(r->factor, (double)max_positions / original);
  double low = correction_dim(number_or(r->beta_fast, 32.0), (double)dim, r->theta, original);
  double high = correction_dim(number_or(r->beta_slow, 1.0), (double)dim, r->theta, original);
  if (r->truncate) low = floor(low), high = ceil(high);
  low = fmax(low, 0.0);
  high = fmin(high, (double)dim - 1.0);
  if (low == high) high += 0.001;
  for (int64_t j = 0; j < dim / 2; j++) {
    float ramp = (float)(((float)j - (float)low) / (float)(high - low));
    ramp = fminf(fmaxf(ramp, 0.0f), 1.0f);
    float keep = 1.0f - ramp;
    inv_freq[j] = inv_freq[j] / (float)factor * (1.0f - keep) + inv_freq[j] * keep;
  }
  bool both = !isnan(r->mscale) && r->mscale != 0.0 && !isnan(r->mscale_all_dim) &&
              r->mscale_all_dim != 0.0;
  double inferred = both ? yarn_mscale(factor, r->mscale) / yarn_mscale(factor, r->mscale_all_dim)
                         : yarn_mscale(factor, 1.0);
  *magnitude = (float)number_or(r->attention_factor, inferred);
}

lb_status lb__rope_inv_freq(float *inv_freq, float *magnitude, const lb__hf_rope *rope,
                            int64_t head_dim, int64_t max_positions, const char *name,
                            lb_error *err) {
  *magnitude = 1.0f;
  for (int64_t j = 0; j < head_dim / 2; j++) {
    float exponent = (float)(2 * j) / (float)head_dim;
    inv_freq[j] = 1.0f / (float)pow(rope->theta, (double)exponent);
  }
  switch (rope->type) {
  case LB__ROPE_DEFAULT: return LB_OK;
  case LB__ROPE_LINEAR:
    for (int64_t j = 0; j < head_dim / 2; j++) inv_freq[j] /= (float)rope->factor;
    return LB_OK;
  case LB__ROPE_LLAMA3:
    for (int64_t j = 0; j < head_dim / 2; j++) inv_freq[j] = scale_llama3(inv_freq[j], rope);
    return LB_OK;
  case LB__ROPE_YARN: scale_yarn(inv_freq, magnitude, rope, head_dim, max_positions); return LB_OK;
  case LB__ROPE_DYNAMIC:
  case LB__ROPE_LONGROPE: break;
  }
  return refuse(rope, name, err);
}
