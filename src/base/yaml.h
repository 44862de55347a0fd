/* yaml.h - libyaml into a tree that remembers lines. Refuses what a configuration never needs:
 * anchors, aliases, tags, more than one document, files above 1 MiB, depth above 64, duplicate
 * keys. Scalars keep their text; the reader of a value decides its type. An empty document is an
 * empty unquoted scalar. */
#ifndef LB_BASE_YAML_H
#define LB_BASE_YAML_H

#include <limbeck/status.h>

#include <stdbool.h>

typedef enum lb__yaml_kind { LB__YAML_SCALAR, LB__YAML_LIST, LB__YAML_MAP } lb__yaml_kind;

typedef struct lb__yaml_node lb__yaml_node;
struct lb__yaml_node {
  lb__yaml_kind kind;
  int line;             /* 1-based */
  bool quoted;          /* scalar written in quotes: always a string */
  const char *text;     /* scalar: NUL-terminated */
  const char *key;      /* this node's key when its parent is a map, else NULL */
  lb__yaml_node *first; /* list or map: first child */
  lb__yaml_node *next;  /* next sibling */
};

typedef struct lb__yaml lb__yaml;
lb_status lb__yaml_parse(lb__yaml **out, const char *text, size_t size, const char *name,
                         lb_error *err);
lb_status lb__yaml_read(lb__yaml **out, const char *path, lb_error *err);
const lb__yaml_node *lb__yaml_root(const lb__yaml *y);
const lb__yaml_node *lb__yaml_get(const lb__yaml_node *map, const char *key); /* NULL: absent */
void lb__yaml_free(lb__yaml *y);

#endif
