// As much of Arduino as the sketch uses, on a computer: Serial prints to standard output.
#include <stdint.h>
#include <stdio.h>

struct Port {
  void begin(long) {}
  explicit operator bool() const { return true; }
  void print(const char *text) { fputs(text, stdout); }
  void println(const char *text) { puts(text); }
};
static Port Serial;
static inline unsigned long millis() { return 0; }

void setup();
void loop();
int main() {
  setup();
  loop();
}
