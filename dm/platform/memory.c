/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See memory.h. `idle` holds the pieces of which something is mapped and nothing in use, the least recently used first.
 *
 * A piece is made of one or more kernel mappings, and is dropped as a whole, by one call that covers them all. None of
 * them may ever be cut: Linux' privcmd takes each part of one for the whole when it is closed. So the pages that could
 * not be mapped are not cut out of a mapping; the mapping is thrown away and smaller ones are made.
 */
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#define WORD_PAGES  64u
#define TURN_PAGES  MEMORY_PIECE_PAGES /* for buffers, in a turn */
#define CALL_PAGES  16u                /* as many pages does a mapping cost, whatever its size */
#define AREAS       4u                 /* of the process's are 2 for each mapping: it, and what is reserved behind it */
#define RETRIES_MAX 8u                 /* pieces dropped when this domain has no memory, before that is an error */

struct piece {
    TAILQ_ENTRY(piece) idle;
    uint32_t uses;
    uint16_t pages;    /* mapped */
    uint16_t mappings; /* in which they are */
    uint8_t bank;
    bool whole;
    uint64_t present[MEMORY_PIECE_PAGES / WORD_PAGES]; /* one bit a page, unless it is whole */
};

struct bank {
    struct bridge_window window;
    unsigned char *memory; /* address space for all of it */
    struct piece *piece;
};

struct memory {
    memory_map_fn *map;
    void *opaque;
    uint64_t limit; /* pages */
    uint64_t limit_mappings;
    unsigned int spent;   /* of the turn's share */
    unsigned int buffers;
    bool refused; /* a buffer, for lack of room */
    bool room;    /* there is some again */
    TAILQ_HEAD(, piece) idle;
    uint64_t idle_pages;
    struct memory_counters counters;
    unsigned int banks;
    struct bank bank[MEMORY_BANKS_MAX];
};

/* Makes it address space that is ours and nothing more. */
static bool reserve(unsigned char *where, uint64_t size, int fixed)
{
    return mmap(where, (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0) == where;
}

static int create_bank(struct memory *memory, const struct bridge_window *window)
{
    struct bank *bank = &memory->bank[memory->banks];
    const uint64_t pieces = (window->size + MEMORY_PIECE - 1) / MEMORY_PIECE;

    bank->window = *window;
    bank->piece = calloc((size_t)pieces, sizeof(*bank->piece));
    bank->memory = mmap(NULL, (size_t)window->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bank->memory == MAP_FAILED) {
        bank->memory = NULL;
    }
    memory->banks++;
    return bank->piece && bank->memory ? 0 : -ENOMEM;
}

/* Linux gives a process so many areas of address space and no more: half of them are enough for us. */
static uint64_t limit_mappings(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned long long areas = UINT64_MAX;

    if (file) {
        if (fscanf(file, "%llu", &areas) != 1) {
            areas = UINT64_MAX;
        }
        (void)fclose(file);
    }
    return areas / AREAS < MEMORY_MAPPINGS ? areas / AREAS : MEMORY_MAPPINGS;
}

int memory_create(struct memory **memory, const struct bridge_window *bank, unsigned int banks, uint64_t limit,
                  memory_map_fn *map, void *opaque)
{
    struct memory *created;
    int error = 0;

    if (banks > MEMORY_BANKS_MAX) {
        return -EINVAL;
    }
    created = calloc(1, sizeof(*created));
    if (!created) {
        return -ENOMEM;
    }
    created->map = map;
    created->opaque = opaque;
    created->limit = limit / MEMORY_PAGE;
    created->limit_mappings = limit_mappings();
    TAILQ_INIT(&created->idle);
    for (unsigned int i = 0; i < banks && !error; i++) {
        error = create_bank(created, &bank[i]);
    }
    if (error) {
        memory_destroy(created);
        return error;
    }
    *memory = created;
    return 0;
}

void memory_destroy(struct memory *memory)
{
    if (!memory) {
        return;
    }
    for (unsigned int i = 0; i < memory->banks; i++) {
        if (memory->bank[i].memory) {
            (void)munmap(memory->bank[i].memory, (size_t)memory->bank[i].window.size);
        }
        free(memory->bank[i].piece);
    }
    free(memory);
}

/* Where a piece is, and how many pages it has: the last one of a bank may be short. */
static unsigned char *place(const struct memory *memory, const struct piece *piece, unsigned int *pages)
{
    const struct bank *bank = &memory->bank[piece->bank];
    const uint64_t offset = (uint64_t)(piece - bank->piece) * MEMORY_PIECE;
    const uint64_t left = (bank->window.size - offset) / MEMORY_PAGE;

    *pages = left < MEMORY_PIECE_PAGES ? (unsigned int)left : MEMORY_PIECE_PAGES;
    return bank->memory + offset;
}

/* Throws a mapping, or all of a piece, away. Where it was nothing else may ever get. */
static void clear(unsigned char *where, unsigned int pages)
{
    if (!reserve(where, (uint64_t)pages * MEMORY_PAGE, MAP_FIXED)) {
        abort();
    }
}

/*
 * The same where a mapping could not be made. When even that fails there are too many mappings for one more: if all of
 * the place is still there then it is ours, and what is in it, if anything, will be replaced as a reservation is.
 */
static void clear_failed(unsigned char *where, unsigned int pages)
{
    const uint64_t size = (uint64_t)pages * MEMORY_PAGE;

    if (!reserve(where, size, MAP_FIXED) && mprotect(where, (size_t)size, PROT_NONE)) {
        abort();
    }
}

static bool drop_one(struct memory *memory)
{
    struct piece *piece = TAILQ_FIRST(&memory->idle);
    unsigned char *where;
    unsigned int pages;

    if (!piece) {
        return false;
    }
    TAILQ_REMOVE(&memory->idle, piece, idle);
    memory->idle_pages -= piece->pages;
    where = place(memory, piece, &pages);
    clear(where, pages);
    memory->counters.mapped -= piece->pages;
    memory->counters.mappings -= piece->mappings;
    memory->counters.dropped++;
    piece->pages = 0;
    piece->mappings = 0;
    piece->whole = false;
    memset(piece->present, 0, sizeof(piece->present));
    return true;
}

/* Makes room for one mapping of so many pages below a limit, if that is possible. */
static bool make_room(struct memory *memory, unsigned int pages, uint64_t limit)
{
    if (memory->counters.mapped - memory->idle_pages + pages > limit) {
        return false;
    }
    while (memory->counters.mapped + pages > limit) {
        (void)drop_one(memory);
    }
    while (memory->counters.mappings >= memory->limit_mappings) {
        if (!drop_one(memory)) {
            return false;
        }
    }
    return true;
}

static inline void use(struct memory *memory, struct piece *piece)
{
    if (piece->uses++ == 0 && piece->pages > 0) {
        TAILQ_REMOVE(&memory->idle, piece, idle);
        memory->idle_pages -= piece->pages;
    }
}

static inline void leave(struct memory *memory, struct piece *piece)
{
    if (--piece->uses == 0 && piece->pages > 0) {
        TAILQ_INSERT_TAIL(&memory->idle, piece, idle);
        memory->idle_pages += piece->pages;
    }
}

static bool present(const struct piece *piece, unsigned int page)
{
    return piece->present[page / WORD_PAGES] >> page % WORD_PAGES & 1;
}

/* One mapping, of pages of a piece that are not mapped. */
static int map_once(struct memory *memory, struct piece *piece, unsigned int first, unsigned int pages)
{
    const struct bank *bank = &memory->bank[piece->bank];
    const uint64_t offset = (uint64_t)(piece - bank->piece) * MEMORY_PIECE + (uint64_t)first * MEMORY_PAGE;
    const int error = memory->map(memory->opaque, bank->memory + offset, (bank->window.base + offset) / MEMORY_PAGE,
                                  pages);

    memory->counters.maps++;
    memory->spent += pages + CALL_PAGES;
    if (error) {
        clear_failed(bank->memory + offset, pages);
        return error;
    }
    piece->pages = (uint16_t)(piece->pages + pages);
    piece->mappings++;
    memory->counters.mapped += pages;
    memory->counters.mappings++;
    if (memory->counters.most < memory->counters.mapped) {
        memory->counters.most = memory->counters.mapped;
    }
    return 0;
}

static int map_run(struct memory *memory, struct piece *piece, unsigned int first, unsigned int end,
                   enum memory_use use)
{
    int error;

    if (!make_room(memory, end - first, memory->limit) && use == MEMORY_BUFFER) {
        return -ENOBUFS;
    }
    error = map_once(memory, piece, first, end - first);
    for (unsigned int tries = RETRIES_MAX; error && error != -ENOENT && tries > 0 && drop_one(memory); tries--) {
        error = map_once(memory, piece, first, end - first);
    }
    if (error) {
        return error == -ENOENT ? -EFAULT : -ENOMEM;
    }
    for (unsigned int page = first; page < end; page++) {
        piece->present[page / WORD_PAGES] |= 1ull << page % WORD_PAGES;
    }
    return 0;
}

/*
 * A piece of which nothing is mapped. Whether all of it could be. A quarter of the limit is left to single pages: a
 * request may be scattered over more pieces than fit.
 */
static bool map_whole(struct memory *memory, struct piece *piece)
{
    const uint64_t limit = memory->limit - memory->limit / 4;
    unsigned int pages;

    (void)place(memory, piece, &pages);
    piece->whole = make_room(memory, pages, limit) && map_once(memory, piece, 0, pages) == 0;
    return piece->whole;
}

/* Maps what is not mapped of the pages first .. end - 1 of a piece in use, which is not whole. */
static int cover(struct memory *memory, struct piece *piece, unsigned int first, unsigned int end,
                 enum memory_use use)
{
    for (unsigned int page = first; page < end;) {
        unsigned int run = page;
        int error;

        while (run < end && !present(piece, run)) {
            run++;
        }
        if (run == page) {
            page++;
            continue;
        }
        if (use == MEMORY_BUFFER && memory->spent >= TURN_PAGES) {
            return -EAGAIN;
        }
        if (piece->pages == 0 && map_whole(memory, piece)) {
            return 0;
        }
        error = map_run(memory, piece, page, run, use);
        if (error) {
            return error;
        }
        page = run;
    }
    return 0;
}

/* Ends the use of the pieces before `end`. */
static void leave_all(struct memory *memory, struct piece *piece, const struct piece *end)
{
    for (; piece < end; piece++) {
        leave(memory, piece);
    }
}

/* Not inline: memory_map() would save registers for it each time. */
static __attribute__((noinline)) int map_in_bank(struct memory *memory, struct bank *bank, uint64_t offset,
                                                 uint64_t length, enum memory_use purpose, void **where)
{
    struct piece *const first = &bank->piece[offset / MEMORY_PIECE];
    struct piece *const last = &bank->piece[(offset + length - 1) / MEMORY_PIECE];

    for (struct piece *piece = first; piece <= last; piece++) {
        use(memory, piece);
        if (!piece->whole) {
            const uint64_t start = (uint64_t)(piece - bank->piece) * MEMORY_PIECE;
            const uint64_t from = piece == first ? offset - start : 0;
            const uint64_t to = piece == last ? offset + length - start : MEMORY_PIECE;
            int error;

            piece->bank = (uint8_t)(bank - memory->bank);
            error = cover(memory, piece, (unsigned int)(from / MEMORY_PAGE),
                          (unsigned int)((to + MEMORY_PAGE - 1) / MEMORY_PAGE), purpose);
            if (error) {
                leave_all(memory, first, piece + 1);
                memory->refused |= error == -ENOBUFS || error == -ENOMEM;
                return error;
            }
        }
    }
    memory->buffers += purpose == MEMORY_BUFFER;
    *where = bank->memory + offset;
    return 0;
}

int memory_map(struct memory *memory, uint64_t address, uint64_t length, enum memory_use purpose, void **where)
{
    for (unsigned int i = 0; i < memory->banks; i++) {
        struct bank *bank = &memory->bank[i];
        const uint64_t offset = address - bank->window.base;
        struct piece *piece;

        if (offset >= bank->window.size || length == 0 || length > bank->window.size - offset) {
            continue;
        }
        /* Nearly always: */
        piece = &bank->piece[offset / MEMORY_PIECE];
        if (piece->whole && offset % MEMORY_PIECE + length <= MEMORY_PIECE) {
            use(memory, piece);
            memory->buffers += purpose == MEMORY_BUFFER;
            *where = bank->memory + offset;
            return 0;
        }
        return map_in_bank(memory, bank, offset, length, purpose, where);
    }
    return -EFAULT;
}

void memory_unmap(struct memory *memory, void *where, uint64_t length, enum memory_use use)
{
    unsigned int i = 0;
    struct bank *bank;
    uint64_t offset;

    do {
        bank = &memory->bank[i++];
        offset = (uint64_t)((uintptr_t)where - (uintptr_t)bank->memory);
    } while (offset >= bank->window.size);
    leave_all(memory, &bank->piece[offset / MEMORY_PIECE], &bank->piece[(offset + length - 1) / MEMORY_PIECE] + 1);
    memory->buffers -= use == MEMORY_BUFFER;
}

void memory_give_room(struct memory *memory)
{
    memory->room |= memory->refused;
    memory->refused = false;
}

bool memory_has_room(const struct memory *memory)
{
    return memory->room;
}

unsigned int memory_buffers(const struct memory *memory)
{
    return memory->buffers;
}

bool memory_turn(struct memory *memory)
{
    const bool room = memory->room;

    memory->spent = 0;
    memory->room = false;
    return room;
}

bool memory_drop(struct memory *memory, unsigned int pieces)
{
    while (pieces > 0 && drop_one(memory)) {
        pieces--;
    }
    return TAILQ_EMPTY(&memory->idle);
}

const struct memory_counters *memory_counters(const struct memory *memory)
{
    return &memory->counters;
}
