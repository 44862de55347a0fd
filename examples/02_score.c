/* 02_score.c - how surprised a model is by a text, token by token.
 *
 *   build/examples/02_score MODEL "The capital of France is Paris." */
#include <limbeck/score.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static void print_row(const lb_tokenizer *tokenizer, const int32_t *ids, const lb_score_row *row) {
  printf("%8s  %9s  %s\n", "id", "log p", "token");
  for (size_t t = 0; t < row->n; t++) {
    const char *token = lb_tokenizer_token_text(tokenizer, ids[t], NULL);
    printf("%8d  %9.4f  %s\n", ids[t], (double)row->logprobs[t], token != NULL ? token : "");
  }
  printf("mean negative log-likelihood %.4f nats, perplexity %.2f\n", row->nll, exp(row->nll));
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL TEXT\n", argv[0]);
    return 2;
  }
  lb_error err;
  lb_model *model = NULL;
  lb_tokenizer *tokenizer = NULL;
  lb_scores *scores = NULL;
  int32_t *ids = NULL;
  size_t n;
  lb_status st = lb_model_open(&model, argv[1], NULL, &err);
  if (st == LB_OK) st = lb_tokenizer_open(&tokenizer, argv[1], &err);
  if (st == LB_OK)
    st = lb_tokenizer_encode(tokenizer, argv[2], strlen(argv[2]), NULL, &ids, &n, &err);
  if (st == LB_OK) {
    lb_prompt document = {.ids = ids, .n_ids = n};
    st = lb_score(&scores, model, &document, 1, NULL, &err);
  }
  if (st == LB_OK)
    print_row(tokenizer, ids, lb_scores_get(scores, 0));
  else
    fprintf(stderr, "error: %s\n", err.message);
  lb_scores_free(scores);
  lb_ids_free(ids);
  lb_tokenizer_free(tokenizer);
  lb_model_free(model);
  return st == LB_OK ? 0 : 1;
}
