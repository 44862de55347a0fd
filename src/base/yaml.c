/* yaml.c - see yaml.h. Owns: turning libyaml's events into a tree, without recursion: the open
 * lists and maps are a stack of fixed height. */
#include "yaml.h"

#include "fail.h"
#include "files.h"
#include "map.h"
#include "memory.h"

#include <yaml.h>

enum { LARGEST_FILE = 1 << 20, DEEPEST = 64 };

struct lb__yaml {
  lb__arena arena;
  lb__yaml_node *root;
};

/* A list or map whose end has not come yet. */
typedef struct open_node {
  lb__yaml_node *node;
  lb__yaml_node **end; /* where the next child is linked */
  const char *key;     /* map: the key read last, waiting for its value */
  lb__map keys;        /* map: those seen, each with its line */
} open_node;

typedef struct builder {
  lb__yaml *y;
  const char *name;
  open_node open[DEEPEST];
  int depth;
  bool done;
  lb_error *err;
} builder;

static int line_of(const yaml_mark_t *mark) {
  return (int)mark->line + 1;
}

static lb_status refuse(const builder *b, const yaml_event_t *e, const char *what) {
  return lb__fail(b->err, LB_E_FORMAT, "%s:%d: %s", b->name, line_of(&e->start_mark), what);
}

/* ---- nodes ---- */

/* Remembers a key of the innermost map, which must be new there. */
static lb_status take_key(builder *b, const yaml_event_t *e) {
  open_node *map = &b->open[b->depth - 1];
  const char *text = (const char *)e->data.scalar.value;
  size_t size = e->data.scalar.length;
  int64_t first_line = 0;
  if (lb__map_get(&map->keys, text, size, &first_line))
    return lb__fail(b->err, LB_E_FORMAT, "%s:%d: key '%s' was already given in line %d", b->name,
                    line_of(&e->start_mark), text, (int)first_line);
  map->key = lb__arena_strndup(&b->y->arena, text, size);
  if (map->key == NULL || !lb__map_put(&map->keys, map->key, size, line_of(&e->start_mark), NULL))
    return lb__fail_nomem(b->err, b->name);
  return LB_OK;
}

/* Links a new node where the next value belongs: the root, a list's end, or behind a key. */
static lb_status add_node(lb__yaml_node **out, builder *b, lb__yaml_kind kind,
                          const yaml_event_t *e) {
  lb__yaml_node *node = lb__arena_new(&b->y->arena, 1, sizeof *node);
  *out = node;
  if (node == NULL) return lb__fail_nomem(b->err, b->name);
  node->kind = kind;
  node->line = line_of(&e->start_mark);
  if (b->depth == 0) {
    b->y->root = node;
    return LB_OK;
  }
  open_node *parent = &b->open[b->depth - 1];
  node->key = parent->key;
  parent->key = NULL;
  *parent->end = node;
  parent->end = &node->next;
  return LB_OK;
}

static bool wants_key(const builder *b) {
  if (b->depth == 0) return false;
  const open_node *parent = &b->open[b->depth - 1];
  return parent->node->kind == LB__YAML_MAP && parent->key == NULL;
}

/* ---- events ---- */

static lb_status on_scalar(builder *b, const yaml_event_t *e) {
  if (e->data.scalar.anchor != NULL) return refuse(b, e, "anchors (&name) are not accepted");
  if (e->data.scalar.tag != NULL) return refuse(b, e, "tags (!name) are not accepted");
  const char *text = (const char *)e->data.scalar.value;
  if (strlen(text) != e->data.scalar.length) return refuse(b, e, "a NUL character in a value");
  if (wants_key(b)) return take_key(b, e);
  lb__yaml_node *node;
  lb_status st = add_node(&node, b, LB__YAML_SCALAR, e);
  if (st != LB_OK) return st;
  node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  node->text = lb__arena_strndup(&b->y->arena, text, e->data.scalar.length);
  return node->text != NULL ? LB_OK : lb__fail_nomem(b->err, b->name);
}

static lb_status on_start(builder *b, const yaml_event_t *e, lb__yaml_kind kind,
                          const yaml_char_t *anchor, const yaml_char_t *tag) {
  if (anchor != NULL) return refuse(b, e, "anchors (&name) are not accepted");
  if (tag != NULL) return refuse(b, e, "tags (!name) are not accepted");
  if (wants_key(b)) return refuse(b, e, "a key must be a plain word, not a list or a map");
  if (b->depth == DEEPEST)
    return lb__fail(b->err, LB_E_LIMIT, "%s:%d: nested deeper than %d levels", b->name,
                    line_of(&e->start_mark), DEEPEST);
  lb__yaml_node *node;
  lb_status st = add_node(&node, b, kind, e);
  if (st != LB_OK) return st;
  open_node *opened = &b->open[b->depth++];
  *opened = (open_node){.node = node, .end = &node->first};
  lb__map_init(&opened->keys, false);
  return LB_OK;
}

static void on_end(builder *b) {
  lb__map_deinit(&b->open[--b->depth].keys);
}

static lb_status on_event(builder *b, const yaml_event_t *e) {
  switch (e->type) {
  case YAML_SCALAR_EVENT: return on_scalar(b, e);
  case YAML_SEQUENCE_START_EVENT:
    return on_start(b, e, LB__YAML_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
  case YAML_MAPPING_START_EVENT:
    return on_start(b, e, LB__YAML_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT: on_end(b); return LB_OK;
  case YAML_ALIAS_EVENT: return refuse(b, e, "aliases (*name) are not accepted");
  case YAML_DOCUMENT_START_EVENT:
    return b->y->root != NULL ? refuse(b, e, "more than one document") : LB_OK;
  case YAML_STREAM_END_EVENT: b->done = true; return LB_OK;
  case YAML_NO_EVENT:
  case YAML_STREAM_START_EVENT:
  case YAML_DOCUMENT_END_EVENT: return LB_OK;
  }
  return LB_OK;
}

/* ---- parsing ---- */

static lb_status fail_parser(const yaml_parser_t *p, const builder *b) {
  if (p->error == YAML_MEMORY_ERROR) return lb__fail_nomem(b->err, b->name);
  const char *problem = p->problem != NULL ? p->problem : "not YAML";
  if (p->error == YAML_READER_ERROR)
    return lb__fail(b->err, LB_E_FORMAT, "%s: byte %zu: %s", b->name, p->problem_offset, problem);
  return lb__fail(b->err, LB_E_FORMAT, "%s:%d:%d: %s%s%s", b->name, line_of(&p->problem_mark),
                  (int)p->problem_mark.column + 1, problem, p->context != NULL ? " " : "",
                  p->context != NULL ? p->context : "");
}

static lb_status build(builder *b, yaml_parser_t *p) {
  while (!b->done) {
    yaml_event_t e;
    if (!yaml_parser_parse(p, &e)) return fail_parser(p, b);
    lb_status st = on_event(b, &e);
    yaml_event_delete(&e);
    if (st != LB_OK) return st;
  }
  if (b->y->root != NULL) return LB_OK;
  static const yaml_event_t start_of_file; /* line 1 */
  lb__yaml_node *node;                     /* nothing but comments: an empty scalar */
  lb_status st = add_node(&node, b, LB__YAML_SCALAR, &start_of_file);
  if (st == LB_OK) node->text = "";
  return st;
}

lb_status lb__yaml_parse(lb__yaml **out, const char *text, size_t size, const char *name,
                         lb_error *err) {
  *out = NULL;
  if (size > LARGEST_FILE)
    return lb__fail(err, LB_E_LIMIT, "%s: larger than the limit of %d bytes", name, LARGEST_FILE);
  yaml_parser_t parser;
  lb__yaml *y = lb__new(sizeof *y);
  if (y == NULL) return lb__fail_nomem(err, name);
  lb__arena_init(&y->arena, 0); /* the file's size is bounded, and so is the tree's */
  if (!yaml_parser_initialize(&parser)) {
    lb__yaml_free(y);
    return lb__fail_nomem(err, name);
  }
  if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, size -= 3;
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
  builder b = {.y = y, .name = name, .err = err};
  lb_status st = build(&b, &parser);
  yaml_parser_delete(&parser);
  while (b.depth > 0) on_end(&b);
  if (st == LB_OK)
    *out = y;
  else
    lb__yaml_free(y);
  return st;
}

lb_status lb__yaml_read(lb__yaml **out, const char *path, lb_error *err) {
  char *text;
  size_t size;
  *out = NULL;
  lb_status st = lb__file_read(&text, &size, path, LARGEST_FILE, err);
  if (st != LB_OK) return st;
  st = lb__yaml_parse(out, text, size, path, err);
  lb__free(text);
  return st;
}

/* ---- reading the tree ---- */

const lb__yaml_node *lb__yaml_root(const lb__yaml *y) {
  return y->root;
}

const lb__yaml_node *lb__yaml_get(const lb__yaml_node *map, const char *key) {
  if (map == NULL || map->kind != LB__YAML_MAP) return NULL;
  for (const lb__yaml_node *n = map->first; n != NULL; n = n->next)
    if (strcmp(n->key, key) == 0) return n;
  return NULL;
}

void lb__yaml_free(lb__yaml *y) {
  if (y == NULL) return;
  lb__arena_deinit(&y->arena);
  lb__free(y);
}
