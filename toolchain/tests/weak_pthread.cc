// The smallest program in which gcc 12's libgcc_eh finds pthread_key_create but,
// without unwind_support.c, no pthread_once: the throw would jump to address 0.
#include <pthread.h>

int main(int argc, char**) {
  pthread_key_t key;
  pthread_key_create(&key, nullptr);
  try {
    throw argc;
  } catch (int value) {
    return value == 1 ? 0 : 1;
  }
}
