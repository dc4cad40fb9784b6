/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

/* The main of a fuzz target in a build without libFuzzer: feeds it each file that is named. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }

    /* An exact allocation, so that a sanitizer sees the first byte read past the input. */
    size_t size = 0;
    uint8_t *data = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        size = end > 0 ? (size_t)end : 0;
        data = malloc(size ? size : 1);
    }
    rewind(file);
    int bad = !data || fread(data, 1, size, file) != size;
    (void)fclose(file);
    if (bad)
        perror(path);
    else
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%d inputs\n", argc - 1);
    return bad ? 1 : 0;
}
