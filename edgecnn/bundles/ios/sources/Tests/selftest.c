/* The self-test on a computer, without Swift; README.md has the command. Its argument is the folder of the model's files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgecnn_decode.h"
#include "edgecnn_image.h"
#include "edgecnn_model.h"

static int problems;

static void note(const char *name, const char *what) {
  printf("%s %s\n", name, what);
  problems++;
}

static uint8_t *read_file(const char *folder, const char *name, size_t *size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *const file = fopen(path, "rb");
  uint8_t *content = NULL;
  long end = -1;
  if (file && fseek(file, 0, SEEK_END) == 0) end = ftell(file);
  if (file && end >= 0 && fseek(file, 0, SEEK_SET) == 0) content = malloc((size_t)end + 1);
  if (!content || fread(content, 1, (size_t)end, file) != (size_t)end) {
    printf("%s cannot be read\n", path);
    exit(2);
  }
  fclose(file);
  content[end] = 0;
  *size = (size_t)end;
  return content;
}

/* Decode, turn and resize an image file to the model's input. */
static int prepare(const uint8_t *file, size_t size, uint8_t *image) {
  uint32_t height, width;
  int orientation;
  if (edgecnn_png_size(file, size, &height, &width)) return -1;
  uint8_t *const rgb = malloc((size_t)height * width * 3), *const turned = malloc((size_t)height * width * 3);
  if (!rgb || !turned || edgecnn_png_decode(file, size, rgb, &orientation)) return -1;
  edgecnn_turn(rgb, height, width, orientation, turned);
  const int is_swapped = orientation >= 5 && orientation <= 8;
  const edgecnn_frame frame = {EDGECNN_RGB888, is_swapped ? width : height, is_swapped ? height : width, turned,
                               (is_swapped ? height : width) * (size_t)3, NULL, 0};
  void *const scratch = malloc(edgecnn_resize_scratch(frame.height, frame.width, EDGECNN_HEIGHT, EDGECNN_WIDTH));
  const int code = scratch ? edgecnn_resize(&frame, image, EDGECNN_HEIGHT, EDGECNN_WIDTH, EDGECNN_CHANNELS, scratch) : -1;
  free(rgb);
  free(turned);
  free(scratch);
  return code;
}

static void check_image(const char *folder, const char *name, const char *checksum, double bound) {
  static uint8_t image[EDGECNN_HEIGHT * EDGECNN_WIDTH * EDGECNN_CHANNELS];
  size_t size;
  uint8_t *const file = read_file(folder, name, &size);
  if (prepare(file, size, image)) {
    note(name, "is no PNG file that can be decoded");
  } else if (edgecnn_crc32(image, sizeof image) != strtoul(checksum, NULL, 10)) {
    note(name, "has pixels that are prepared otherwise");
  }
  free(file);
#ifdef EDGECNN_MODEL_IS_C
  float scores[EDGECNN_LABELS];
  if (edgecnn_model_run(image, scores)) note(name, "was not computed: memory is short");
  for (int i = 0; i < EDGECNN_LABELS; i++) {
    const char *const word = strtok(NULL, " ");
    if (!word || !(fabs((double)scores[i] - strtod(word, NULL)) <= bound)) {
      note(name, "has outputs that differ");
      return;
    }
  }
#else
  (void)bound;
#endif
}

int main(int count, char **words) {
  size_t size;
  double bound = 0;
  int images = 0;
  if (count != 2) return 2;
  char *const golden = (char *)read_file(words[1], "golden.txt", &size);
  for (char *line = golden, *next; line && *line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    const char *const kind = strtok(line, " "), *const name = strtok(NULL, " "), *const value = strtok(NULL, " ");
    if (kind && name && strcmp(kind, "bound") == 0) bound = strtod(name, NULL);
    if (!value) continue;
    if (strcmp(kind, "file") == 0) {
      uint8_t *const content = read_file(words[1], name, &size);
      if (edgecnn_crc32(content, size) != strtoul(value, NULL, 10)) note(name, "is not the file that was bundled");
      free(content);
    } else {
      check_image(words[1], name, value, bound);
      images++;
    }
  }
  free(golden);
  printf("%d golden images, %d problems\n", images, problems);
  return problems || !images ? 1 : 0;
}
