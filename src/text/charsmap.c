/* charsmap.c - sentencepiece's compiled character map: base64 of u32le size, a Darts double-array
 * trie of that size, and the replacement strings it points into. Every index is checked: the map
 * comes from a file. Follows the reference in replacing a whole grapheme by its first prefix. */
#include "normalize.h"

#include "base/fail.h"
#include "base/utf8.h"
#include "unicode_class.h"

#include <utf8proc.h>

static int base64_value(unsigned char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns the decoded size, or SIZE_MAX when text is not base64. */
static size_t decode_base64(unsigned char *out, const char *text, size_t size) {
  while (size > 0 && text[size - 1] == '=') size--;
  uint32_t bits = 0;
  int n_bits = 0;
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    int value = base64_value((unsigned char)text[i]);
    if (value < 0) return SIZE_MAX;
    bits = bits << 6 | (uint32_t)value;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out[n++] = (unsigned char)(bits >> n_bits);
  }
  return n;
}

static uint32_t load_u32(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

lb_status lb__charsmap_init(lb__charsmap *map, const char *base64, size_t size, const char *path,
                            lb_error *err) {
  *map = (lb__charsmap){0};
  unsigned char *bytes = lb__alloc(size + 1);
  if (bytes == NULL) return lb__fail_nomem(err, path);
  lb_status st = LB_E_FORMAT;
  size_t n = decode_base64(bytes, base64, size);
  if (n == SIZE_MAX || n < 4 || load_u32(bytes) > n - 4 || load_u32(bytes) % 4 != 0) {
    lb__fail(err, st, "%s.precompiled_charsmap: not base64 of a size, a trie and texts", path);
    goto done;
  }
  map->n_units = load_u32(bytes) / 4;
  map->replacements_size = n - 4 - map->n_units * 4;
  map->units = lb__alloc_array(map->n_units + 1, sizeof *map->units);
  map->replacements =
      lb__strndup((const char *)bytes + 4 + map->n_units * 4, map->replacements_size);
  st = map->units != NULL && map->replacements != NULL ? LB_OK : lb__fail_nomem(err, path);
  if (st == LB_OK && !lb__utf8_valid(map->replacements, map->replacements_size))
    st = lb__fail(err, LB_E_FORMAT, "%s.precompiled_charsmap: a replacement is not UTF-8", path);
  for (size_t i = 0; st == LB_OK && i < map->n_units; i++)
    map->units[i] = load_u32(bytes + 4 + i * 4);
done:
  lb__free(bytes);
  return st;
}

void lb__charsmap_deinit(lb__charsmap *map) {
  lb__free(map->units);
  lb__free(map->replacements);
  *map = (lb__charsmap){0};
}

static uint32_t unit_offset(uint32_t unit) {
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The replacement of the shortest prefix of text that has one, or NULL. */
static const char *find(const lb__charsmap *map, const char *text, size_t size) {
  if (map->n_units == 0) return NULL;
  size_t at = unit_offset(map->units[0]);
  for (size_t i = 0; i < size && text[i] != '\0'; i++) {
    at ^= (unsigned char)text[i];
    if (at >= map->n_units) return NULL;
    uint32_t unit = map->units[at];
    if ((unit & ((1u << 31) | 0xFF)) != (unsigned char)text[i]) return NULL;
    at ^= unit_offset(unit);
    if (at >= map->n_units) return NULL;
    if (!((unit >> 8) & 1)) continue;
    size_t index = map->units[at] & 0x7FFFFFFFu;
    if (index >= map->replacements_size) return "";
    const char *replacement = map->replacements + index;
    bool is_inside_character = ((unsigned char)replacement[0] & 0xC0) == 0x80; /* a hostile map */
    return is_inside_character ? NULL : replacement;
  }
  return NULL;
}

static void apply_to_grapheme(const lb__charsmap *map, lb__buf *out, const char *text,
                              size_t size) {
  const char *whole = size < 6 ? find(map, text, size) : NULL;
  if (whole != NULL) {
    lb__buf_add_text(out, whole);
    return;
  }
  for (size_t i = 0; i < size;) {
    size_t length = lb__utf8_length((unsigned char)text[i]);
    const char *one = find(map, text + i, length);
    if (one != NULL)
      lb__buf_add_text(out, one);
    else
      lb__buf_add(out, text + i, length);
    i += length;
  }
}

void lb__charsmap_apply(const lb__charsmap *map, lb__buf *out, const char *text, size_t size) {
  const unsigned char *base = (const unsigned char *)text, *p = base, *end = base + size;
  utf8proc_int32_t state = 0;
  while (p < end) {
    const unsigned char *begin = p;
    utf8proc_int32_t c = (utf8proc_int32_t)lb__utf8_next(&p);
    while (p < end) {
      const unsigned char *next = p;
      utf8proc_int32_t following = (utf8proc_int32_t)lb__utf8_next(&next);
      if (utf8proc_grapheme_break_stateful(c, following, &state)) break;
      c = following;
      p = next;
    }
    apply_to_grapheme(map, out, (const char *)begin, (size_t)(p - begin));
  }
}
