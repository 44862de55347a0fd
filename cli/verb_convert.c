/* verb_convert.c - `limbeck convert`: Hugging Face folder to GGUF and back, then reloaded and
 * compared with the original before success is claimed. */
#include "convert_check.h"
#include "json_writer.h"
#include "terminal.h"

#include <limbeck/convert.h>

#include <string.h>

typedef struct convert_args {
  verb_args words;
  int type; /* 0: what suits the source, else 1 + the index in target_dtypes */
  uint64_t max_shard_size;
  bool overwrite, check;
} convert_args;

#define FIELD(field) offsetof(convert_args, field)
static const option convert_options[] = {
    {.name = "type",
     .aliases = "dtype",
     .kind = OPTION_CHOICE,
     .offset = FIELD(type),
     .choices = "auto|f32|f16|bf16|q8_0|q4_0",
     .fallback = "auto",
     .help = "the number format of matrices (q8_0 and q4_0 are for GGUF only); auto keeps f32, f16 "
             "and bf16, and makes of anything else f16 in a GGUF and f32 in a folder"},
    {.name = "max-shard-size",
     .kind = OPTION_SIZE,
     .offset = FIELD(max_shard_size),
     .value = "SIZE",
     .fallback = "50GB",
     .help = "largest safetensors file of a folder"},
    {.name = "overwrite",
     .kind = OPTION_FLAG,
     .offset = FIELD(overwrite),
     .help = "replace what OUT names"},
    {.name = "check",
     .kind = OPTION_FLAG,
     .offset = FIELD(check),
     .fallback = "true",
     .help = "open the result, and compare its tokens and predictions with the original's; "
             "--no-check leaves it out"},
    {0}};

static const lb_dtype target_dtypes[] = {LB_DTYPE_F32, LB_DTYPE_F16, LB_DTYPE_BF16, LB_DTYPE_Q8_0,
                                         LB_DTYPE_Q4_0};

static void show_progress(void *ctx, size_t done, size_t total, const char *tensor) {
  progress_show(ctx, done, total, tensor);
}

static lb_status convert(cli *c, const convert_args *args, lb_error *err) {
  progress bar = {.c = c, .title = "converting"};
  lb_convert_options o = lb_convert_options_default();
  o.has_dtype = args->type > 0;
  if (o.has_dtype) o.dtype = target_dtypes[args->type - 1];
  o.max_shard_size = args->max_shard_size;
  o.overwrite = args->overwrite;
  o.on_progress = show_progress;
  o.on_progress_ctx = &bar;
  o.cancel = &cli_cancelled;
  lb_status st = lb_convert(args->words.positional[0], args->words.positional[1], &o, err);
  progress_end(&bar);
  return st;
}

static void print_json(const convert_args *args, const agreement *a) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "output", args->words.positional[1]);
  writer_bool(&w, "checked", a != NULL);
  if (a != NULL) {
    writer_string(&w, "dtype", lb_dtype_name(a->dtype));
    if (a->has_tokenizer) writer_bool(&w, "same_ids", a->same_ids);
    writer_uint(&w, "positions", a->n_positions);
    writer_real(&w, "kl", a->mean_kl);
    writer_real(&w, "max_logprob_difference", a->max_diff);
    writer_real(&w, "same_best_token", a->same_best);
  }
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static int check(cli *c, const convert_args *args) {
  const char *out = args->words.positional[1];
  agreement a;
  lb_error err = {0};
  if (agreement_measure(&a, args->words.positional[0], out, &err) != LB_OK) {
    cli_error(c, &err);
    return cli_failure(c, "--no-check leaves the check out",
                       "%s was written, but could not be checked", out);
  }
  if (c->global.json) print_json(args, &a);
  cli_note(
      c,
      "checked %zu tokens: KL(original || copy) %.3g nats, largest difference of a log-probability "
      "%.3g, same best token %.1f %%",
      a.n_positions, a.mean_kl, a.max_diff, 100 * a.same_best);
  if (a.has_tokenizer && !a.same_ids)
    return cli_failure(c, "the file is there, to be looked at, but not to be used",
                       "%s: its tokenizer gives other ids than the original's", out);
  if (!agreement_is_good(&a))
    return cli_failure(c, "the file is there, to be looked at, but not to be used",
                       "%s: KL from the original is %.3g nats per token, want at most %.3g for %s",
                       out, a.mean_kl, a.tolerated, lb_dtype_name(a.dtype));
  return CLI_DONE;
}

static int run_convert(cli *c, void *opaque) {
  const convert_args *args = opaque;
  lb_error err = {0};
  if (convert(c, args, &err) != LB_OK) return cli_error(c, &err);
  int code = CLI_DONE;
  if (args->check)
    code = check(c, args);
  else if (c->global.json)
    print_json(args, NULL);
  if (code == CLI_DONE && !c->global.json) printf("%s\n", args->words.positional[1]);
  return code;
}

const verb verb_convert = {
    .name = "convert",
    .summary = "Hugging Face folder to GGUF and back; quantise",
    .description =
        "Writes OUT: a GGUF file when its name ends in .gguf, else a folder that Transformers "
        "loads. What the target cannot express is refused by name, and an existing OUT is left "
        "alone unless --overwrite is given.\n\n"
        "The result is then opened, and a sample text goes through both: the token ids must be "
        "equal, and the predictions as close as the number format allows. With --json: one object "
        "with what was measured.",
    .positionals = {{.name = "IN", .help = "a Hugging Face folder, a .gguf file, or a hub name"},
                    {.name = "OUT", .help = "NAME.gguf, or the folder to make"}},
    .options = convert_options,
    .examples = {{"limbeck convert ./gpt2 gpt2.gguf", "to GGUF, same precision"},
                 {"limbeck convert ./gpt2 gpt2-q8.gguf --type q8_0", "quantised to 8 bits"},
                 {"limbeck convert model.gguf ./model --type bf16", "back to a folder"}},
    .args_size = sizeof(convert_args),
    .run = run_convert};
