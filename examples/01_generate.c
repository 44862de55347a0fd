/* 01_generate.c - the smallest whole program: a model, a prompt, an answer, printed as it comes.
 *
 *   build/examples/01_generate MODEL "Once upon a time"
 *
 * MODEL is a Hugging Face folder, a .gguf file or a name in the local hub cache. */
#include <limbeck/generate.h>

#include <stdio.h>
#include <string.h>

static bool print_token(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                        const char *text, size_t text_size) {
  (void)ctx, (void)prompt, (void)sequence, (void)id, (void)logprob;
  fwrite(text, 1, text_size, stdout);
  fflush(stdout);
  return true; /* go on */
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  lb_error err;
  lb_model *model = NULL;
  lb_tokenizer *tokenizer = NULL;
  lb_generation *generation = NULL;
  int32_t *ids = NULL;
  size_t n;
  lb_status st = lb_model_open(&model, argv[1], NULL, &err);
  if (st == LB_OK) st = lb_tokenizer_open(&tokenizer, argv[1], &err);
  if (st == LB_OK)
    st = lb_tokenizer_encode(tokenizer, argv[2], strlen(argv[2]), NULL, &ids, &n, &err);
  if (st == LB_OK) {
    lb_prompt prompt = {.ids = ids, .n_ids = n};
    lb_generate_options options = lb_generate_options_default();
    options.max_new_tokens = 32;
    options.on_token = print_token;
    st = lb_generate(&generation, model, tokenizer, &prompt, 1, &options, &err);
  }
  if (st == LB_OK)
    printf("\n[%s, log-probability %.2f]\n",
           lb_finish_reason_name(lb_generation_sequence(generation, 0, 0)->finish_reason),
           lb_generation_sequence(generation, 0, 0)->logprob);
  else
    fprintf(stderr, "error: %s\n", err.message);
  lb_generation_free(generation); /* each accepts NULL */
  lb_ids_free(ids);
  lb_tokenizer_free(tokenizer);
  lb_model_free(model);
  return st == LB_OK ? 0 : 1;
}
