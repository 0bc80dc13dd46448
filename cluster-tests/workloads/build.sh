#!/bin/bash
# Builds a program of many small files over and over: make, a shell, compiler, assembler and linker for each, all short-lived. `compiled`
# grows with each object, `finished` with each program that printed the right sum; whatever goes wrong is a line in `failed`.
set -u
files=40
directory=/var/tmp/build
mkdir -p "$directory" && cd "$directory" || exit 1
sum=0
{
  for i in $(seq $files); do echo "long part_$i(void);"; done
  echo '#include <stdio.h>'
  echo 'int main(void) { long sum = 0;'
  for i in $(seq $files); do echo "  sum += part_$i();"; done
  echo '  printf("%ld\n", sum); return 0; }'
} >main.c
for i in $(seq $files); do
  echo "long part_$i(void) { long sum = 0; for (long n = 0; n <= $i; n++) sum += n * n; return sum; }" >"part-$i.c"
  sum=$((sum + i * (i + 1) * (2 * i + 1) / 6))
done
echo "$sum" >expected
cat >Makefile <<'MAKE'
objects := $(patsubst %.c,%.o,$(wildcard *.c))
program: $(objects)
	cc -o $@ $^
%.o: %.c
	cc -O2 -c -o $@ $<
	@echo $@ >>compiled
clean:
	rm -f *.o program
MAKE
while :; do
  make -s clean
  make -j2 >log 2>&1 || { echo "make failed: $(tail -n 3 log | tr '\n' ' ')" >>failed; sleep 1; }
  ./program >output 2>&1
  if cmp -s output expected; then echo done >>finished; else echo "wrong sum $(head -c 80 output)" >>failed; fi
done
