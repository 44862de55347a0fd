/* verb_report.c - `limbeck report`: a run as one page, also while it runs. */
#include "cli.h"
#include "json_writer.h"

#include <limbeck/report.h>

#include <string.h>

typedef struct report_args {
  verb_args words;
  const char *baseline, *comparison, *output;
} report_args;

#define FIELD(field) offsetof(report_args, field)
static const option report_options[] = {
    {.name = "baseline",
     .kind = OPTION_TEXT,
     .offset = FIELD(baseline),
     .value = "RUN2",
     .help = "another run's output_dir, the same student without a teacher, say: drawn beside it",
     .only_typed = true},
    {.name = "comparison",
     .kind = OPTION_TEXT,
     .offset = FIELD(comparison),
     .value = "FILE",
     .help = "what `limbeck compare --json` printed: its table and answers are shown too",
     .only_typed = true},
    {.name = "output",
     .aliases = "o",
     .kind = OPTION_TEXT,
     .offset = FIELD(output),
     .value = "FILE",
     .help = "the page; otherwise RUN/report.html",
     .only_typed = true},
    {0}};

static void print_json(const lb_report_facts *facts) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "report", facts->path);
  writer_int(&w, "lines", facts->lines);
  writer_int(&w, "unread_lines", facts->unread);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void print_path(const lb_report_facts *facts) {
  text visible = {0};
  text_put_visible(&visible, facts->path, strlen(facts->path));
  puts(text_get(&visible));
  text_free(&visible);
}

static int run_report(cli *c, void *opaque) {
  const report_args *args = opaque;
  lb_report_options options = {.run = args->words.positional[0],
                               .baseline = args->baseline,
                               .comparison = args->comparison,
                               .output = args->output};
  lb_report_facts facts;
  lb_error err = {0};
  if (lb_report_write(&facts, &options, &err) != LB_OK) return cli_error(c, &err);
  if (facts.unread > 0)
    cli_note(c, "%lld of %lld lines of metrics.jsonl could not be read and are not shown",
             (long long)facts.unread, (long long)facts.lines);
  if (c->global.json)
    print_json(&facts);
  else
    print_path(&facts);
  return CLI_DONE;
}

const verb verb_report = {
    .name = "report",
    .summary = "a run as one page of curves, figures and samples",
    .description =
        "Makes an HTML page of a run's metrics.jsonl and run.json: loss curves by term, held-out "
        "figures, learning rate, speed, the answers to the test prompt, recipe and environment. "
        "The "
        "page holds everything it needs and loads nothing, so it can be mailed. A run that ends "
        "writes its own; this verb makes one while a run goes on, or one with a baseline.",
    .positionals = {{.name = "RUN", .help = "the output_dir of a run"}},
    .options = report_options,
    .examples = {{"limbeck report distilled", "distilled/report.html, anew"},
                 {"limbeck report distilled --baseline text-alone -o both.html",
                  "was the teacher worth it"},
                 {"limbeck report distilled --comparison compared.json",
                  "also shows what `limbeck compare --json > compared.json` found"}},
    .args_size = sizeof(report_args),
    .run = run_report};
