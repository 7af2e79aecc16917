/* SPDX-License-Identifier: BSD-2-Clause */
/* See assignments.h. */
#include "assignments.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 512

/* What is being read: a value, or an index. */
struct text {
    char bytes[ASSIGNMENT_VALUE_MAX + 1];
    size_t length;
};

struct parser {
    struct assignments *assignments;
    const char *next;
    const char *end;
    unsigned int line;
    struct assignment current; /* without a value */
    struct text text;
    bool spaced;               /* spaces stand around the = of `current` */
};

void assignment_key(const struct assignment *assignment, char *key, size_t size)
{
    switch (assignment->index_count) {
    case 0:
        snprintf(key, size, "%s", assignment->name);
        break;
    case 1:
        snprintf(key, size, "%s[%u]", assignment->name, assignment->index[0]);
        break;
    default:
        snprintf(key, size, "%s[%u,%u]", assignment->name, assignment->index[0], assignment->index[1]);
        break;
    }
}

void assignment_report(const struct assignments *assignments, const struct assignment *assignment,
                       enum report_level level, const char *format, ...)
{
    char key[ASSIGNMENT_KEY_MAX];
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);

    assignment_key(assignment, key, sizeof(key));
    assignments->report->line = assignment->line;
    report_write(assignments->report, level, key, "%s", message);
    assignments->report->line = 0;
}

__attribute__((format(printf, 3, 4))) static void report_here(struct parser *parser, enum report_level level,
                                                              const char *format, ...)
{
    struct report *report = parser->assignments->report;
    char key[ASSIGNMENT_KEY_MAX];
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);

    assignment_key(&parser->current, key, sizeof(key));
    report->line = parser->line;
    report_write(report, level, key[0] != '\0' ? key : NULL, "%s", message);
    report->line = 0;
}

static bool at_end(const struct parser *parser)
{
    return parser->next == parser->end;
}

static char peek(const struct parser *parser)
{
    return at_end(parser) ? '\0' : *parser->next;
}

static char take(struct parser *parser)
{
    const char byte = *parser->next++;

    if (byte == '\n') {
        parser->line++;
    }
    return byte;
}

/* Blanks, and line ends that a backslash takes away. */
static bool skip_blanks(struct parser *parser)
{
    const char *const start = parser->next;

    while (!at_end(parser)) {
        if (peek(parser) == ' ' || peek(parser) == '\t') {
            parser->next++;
        } else if (parser->end - parser->next >= 2 && parser->next[0] == '\\' && parser->next[1] == '\n') {
            parser->next++;
            (void)take(parser);
        } else {
            break;
        }
    }
    return parser->next != start;
}

static void skip_line(struct parser *parser)
{
    while (!at_end(parser) && peek(parser) != '\n') {
        parser->next++;
    }
}

static bool is_name_start(char byte)
{
    return isalpha((unsigned char)byte) != 0 || byte == '_';
}

static bool is_name(char byte)
{
    return isalnum((unsigned char)byte) != 0 || byte == '_';
}

static bool append(struct parser *parser, char byte)
{
    struct text *text = &parser->text;

    if (text->length == ASSIGNMENT_VALUE_MAX) {
        report_here(parser, REPORT_ERROR, "longer than %u bytes", ASSIGNMENT_VALUE_MAX);
        return false;
    }
    text->bytes[text->length++] = byte;
    text->bytes[text->length] = '\0';
    return true;
}

static bool append_value(struct parser *parser, const char *value)
{
    for (; *value != '\0'; value++) {
        if (!append(parser, *value)) {
            return false;
        }
    }
    return true;
}

/* A name at the place that is read; false, reported, when it is too long. */
static bool take_name(struct parser *parser, char *name)
{
    size_t length = 0;

    while (is_name(peek(parser))) {
        if (length + 1 == ASSIGNMENT_NAME_MAX) {
            report_here(parser, REPORT_ERROR, "a name of more than %u bytes", ASSIGNMENT_NAME_MAX - 1);
            return false;
        }
        name[length++] = take(parser);
    }
    name[length] = '\0';
    return true;
}

/* A number at the place that is read, such as an index. */
static bool take_index(struct parser *parser, uint32_t *index)
{
    const char *const start = parser->next;

    *index = 0;
    while (isdigit((unsigned char)peek(parser)) != 0 && *index <= ASSIGNMENT_INDEX_MAX) {
        *index = *index * 10 + (uint32_t)(take(parser) - '0');
    }
    return parser->next != start && *index <= ASSIGNMENT_INDEX_MAX;
}

static bool refuse_substitution(struct parser *parser)
{
    report_here(parser, REPORT_ERROR, "a substitution that a shell would have to run; write its result");
    return false;
}

/* After a $: the value of what was assigned above. */
static bool take_reference(struct parser *parser)
{
    const bool braces = peek(parser) == '{';
    const struct assignment *found;
    char name[ASSIGNMENT_NAME_MAX];
    uint32_t index = 0;

    if (braces) {
        parser->next++;
    }
    if (!is_name_start(peek(parser))) {
        return braces || peek(parser) == '(' || peek(parser) == '\'' || peek(parser) == '"'
                   ? refuse_substitution(parser) : append(parser, '$');
    }
    if (!take_name(parser, name)) {
        return false;
    }
    if (braces && peek(parser) == '[') {
        parser->next++;
        if (!take_index(parser, &index) || peek(parser) != ']') {
            return refuse_substitution(parser);
        }
        parser->next++;
    }
    if (braces && peek(parser) != '}') {
        return refuse_substitution(parser);
    }
    parser->next += braces ? 1 : 0;
    found = assignments_find(parser->assignments, name, index);
    if (found == NULL) {
        report_here(parser, REPORT_ERROR, "$%s is not assigned above, and the environment is not read", name);
        return false;
    }
    parser->assignments->entries[found - parser->assignments->entries].used = true;
    return append_value(parser, found->value);
}

static bool refuse_open(struct parser *parser, char quote, unsigned int line)
{
    parser->line = line;
    report_here(parser, REPORT_ERROR, "a %c that is not closed", quote);
    return false;
}

static bool take_single_quotes(struct parser *parser)
{
    const unsigned int line = parser->line;

    while (!at_end(parser)) {
        const char byte = take(parser);

        if (byte == '\'') {
            return true;
        }
        if (!append(parser, byte)) {
            return false;
        }
    }
    return refuse_open(parser, '\'', line);
}

static bool take_double_quotes(struct parser *parser)
{
    const unsigned int line = parser->line;

    while (!at_end(parser)) {
        char byte = take(parser);
        bool good = true;

        if (byte == '"') {
            return true;
        }
        if (byte == '`') {
            return refuse_substitution(parser);
        }
        if (byte == '$') {
            good = take_reference(parser);
        } else if (byte == '\\' && !at_end(parser) && strchr("$`\"\\\n", peek(parser)) != NULL) {
            byte = take(parser);
            good = byte == '\n' || append(parser, byte);
        } else {
            good = append(parser, byte);
        }
        if (!good) {
            return false;
        }
    }
    return refuse_open(parser, '"', line);
}

/* One word into `text`: quoted and unquoted pieces up to a blank, a line end or a semicolon. */
static bool take_word(struct parser *parser, const char *ends)
{
    const char *const start = parser->next;

    parser->text.length = 0;
    parser->text.bytes[0] = '\0';
    while (!at_end(parser) && strchr(ends, peek(parser)) == NULL) {
        const char byte = take(parser);
        bool good = true;

        if (byte == '\'') {
            good = take_single_quotes(parser);
        } else if (byte == '"') {
            good = take_double_quotes(parser);
        } else if (byte == '$') {
            good = take_reference(parser);
        } else if (byte == '`') {
            good = refuse_substitution(parser);
        } else if (strchr("&|<>()", byte) != NULL) {
            report_here(parser, REPORT_ERROR, "an unquoted %c; put the value into quotes", byte);
            good = false;
        } else if (byte == '~' && parser->next == start + 1) {
            report_here(parser, REPORT_ERROR, "~ is not replaced by a home directory; write the path, or quotes");
            good = false;
        } else if (byte == '\\' && !at_end(parser)) {
            const char escaped = take(parser);

            good = escaped == '\n' || append(parser, escaped);
        } else {
            good = append(parser, byte);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool same_index(const struct assignment *left, const struct assignment *right)
{
    return (left->index_count == 2) == (right->index_count == 2) && left->index[0] == right->index[0] &&
           left->index[1] == right->index[1];
}

static struct assignment *find(const struct assignments *assignments, const struct assignment *wanted)
{
    for (size_t i = 0; i < assignments->count; i++) {
        struct assignment *entry = &assignments->entries[i];

        if (strcmp(entry->name, wanted->name) == 0 && same_index(entry, wanted)) {
            return entry;
        }
    }
    return NULL;
}

const struct assignment *assignments_find(const struct assignments *assignments, const char *name, uint32_t index)
{
    struct assignment wanted = {.index_count = 1, .index = {index, 0}};

    snprintf(wanted.name, sizeof(wanted.name), "%s", name);
    return find(assignments, &wanted);
}

const struct assignment *assignments_find_pair(const struct assignments *assignments, const char *name, uint32_t first,
                                               uint32_t second)
{
    struct assignment wanted = {.index_count = 2, .index = {first, second}};

    snprintf(wanted.name, sizeof(wanted.name), "%s", name);
    return find(assignments, &wanted);
}

/* `current` gets the value of `text`, behind the one that it had or in its place. */
static bool assign(struct parser *parser, unsigned int line, bool appends)
{
    struct assignments *assignments = parser->assignments;
    struct assignment *entry = find(assignments, &parser->current);
    const char *before = appends && entry != NULL ? entry->value : "";
    const size_t size = strlen(before) + parser->text.length + 1;
    char *value;

    if (size > ASSIGNMENT_VALUE_MAX) {
        report_here(parser, REPORT_ERROR, "longer than %u bytes", ASSIGNMENT_VALUE_MAX);
        return false;
    }
    if (entry == NULL && assignments->count == ASSIGNMENTS_MAX) {
        report_here(parser, REPORT_ERROR, "more than %u assignments", ASSIGNMENTS_MAX);
        return false;
    }
    value = malloc(size);
    if (value == NULL) {
        report_here(parser, REPORT_ERROR, "out of memory");
        return false;
    }
    memcpy(value, before, strlen(before));
    memcpy(value + strlen(before), parser->text.bytes, parser->text.length + 1);
    if (entry == NULL) {
        entry = &assignments->entries[assignments->count++];
        *entry = parser->current;
    } else {
        free(entry->value);
        entry->index_count = parser->current.index_count;
    }
    entry->value = value;
    entry->line = line;
    return true;
}

/* (a b c): NAME[0], NAME[1] and so on. */
static bool take_array(struct parser *parser)
{
    const unsigned int line = parser->line;

    parser->current.index_count = 1;
    for (parser->current.index[0] = 0;; parser->current.index[0]++) {
        while (skip_blanks(parser) || peek(parser) == '\n' || peek(parser) == '#') {
            if (peek(parser) == '#') {
                skip_line(parser);
            } else if (peek(parser) == '\n') {
                (void)take(parser);
            }
        }
        if (at_end(parser)) {
            return refuse_open(parser, '(', line);
        }
        if (peek(parser) == ')') {
            parser->next++;
            return true;
        }
        if (peek(parser) == '[') {
            report_here(parser, REPORT_ERROR, "indices inside parentheses; write NAME[n]=value, each on a line");
            return false;
        }
        const unsigned int word_line = parser->line;

        if (!take_word(parser, " \t\n)") || !assign(parser, word_line, false)) {
            return false;
        }
    }
}

/* [n] or [n,m], which may stand in quotes. */
static bool take_indices(struct parser *parser)
{
    const char *digits;
    char *end = NULL;

    parser->next++;
    if (!take_word(parser, "]\n") || peek(parser) != ']') {
        report_here(parser, REPORT_ERROR, "an index that is not closed by ]");
        return false;
    }
    parser->next++;
    digits = parser->text.bytes;
    for (unsigned int i = 0; i < 2; i++) {
        const unsigned long number = strtoul(digits, &end, 10);

        if (isdigit((unsigned char)digits[0]) == 0 || number > ASSIGNMENT_INDEX_MAX ||
            (*end != '\0' && (*end != ',' || i == 1))) {
            report_here(parser, REPORT_ERROR, "the index [%.32s] is neither a number nor two with a comma between",
                        parser->text.bytes);
            return false;
        }
        parser->current.index[i] = (uint32_t)number;
        parser->current.index_count = i + 1;
        if (*end == '\0') {
            break;
        }
        digits = end + 1;
    }
    return true;
}

/* The =, or +=, behind a name. False when there is none: the line is no assignment. */
static bool take_equals(struct parser *parser, bool *appends)
{
    parser->spaced = skip_blanks(parser);
    *appends = peek(parser) == '+' && parser->end - parser->next >= 2 && parser->next[1] == '=';
    if (*appends) {
        parser->next++;
    }
    if (peek(parser) != '=') {
        report_here(parser, REPORT_ERROR, "not an assignment; commands are not run, only NAME=value is read");
        return false;
    }
    parser->next++;
    if (skip_blanks(parser) && !at_end(parser) && strchr("\n;#", peek(parser)) == NULL) {
        parser->spaced = true;
    }
    return true;
}

/* One assignment. False when the rest of the line is not to be read: a fault, which was reported. */
static bool take_assignment(struct parser *parser)
{
    const unsigned int line = parser->line;
    bool appends = false;

    if (!take_name(parser, parser->current.name) || (peek(parser) == '[' && !take_indices(parser)) ||
        !take_equals(parser, &appends)) {
        return false;
    }
    if (parser->spaced) {
        report_here(parser, REPORT_WARNING, "spaces around the =; a shell, and so ImageBuilder, refuses them");
    }
    if (peek(parser) == '(') {
        parser->next++;
        return take_array(parser);
    }
    if (peek(parser) == '#') {
        parser->text.length = 0;
        parser->text.bytes[0] = '\0';
        return assign(parser, line, appends);
    }
    return take_word(parser, " \t\n;") && assign(parser, line, appends);
}

/* `export`, `declare -A NAME` and the like say how a shell is to keep a name, which does not matter here. */
static bool take_declaration(struct parser *parser)
{
    static const char *const words[] = {"export", "declare", "typeset", "readonly", "local"};
    const char *next = parser->next;
    size_t length = 0;

    while (next + length < parser->end && isalpha((unsigned char)next[length]) != 0) {
        length++;
    }
    if (next + length == parser->end || (next[length] != ' ' && next[length] != '\t')) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == length && strncmp(next, words[i], length) == 0) {
            parser->next += length;
            while (skip_blanks(parser) && peek(parser) == '-') {
                while (!at_end(parser) && strchr(" \t\n;", peek(parser)) == NULL) {
                    parser->next++;
                }
            }
            return true;
        }
    }
    return false;
}

/* NAME alone, which a declaration may have. */
static bool skip_declared_name(struct parser *parser)
{
    const char *next = parser->next;

    while (next < parser->end && is_name(*next)) {
        next++;
    }
    if (next == parser->next || (next < parser->end && strchr(" \t\n;", *next) == NULL)) {
        return false;
    }
    parser->next = next;
    return true;
}

static void parse(struct parser *parser)
{
    bool declaration = false;

    while (!at_end(parser)) {
        memset(&parser->current, 0, sizeof(parser->current));
        if (skip_blanks(parser)) {
            continue;
        }
        switch (peek(parser)) {
        case '\n':
        case ';':
            declaration = false;
            (void)take(parser);
            continue;
        case '#':
            skip_line(parser);
            continue;
        default:
            break;
        }
        if (take_declaration(parser)) {
            declaration = true;
        } else if (declaration && skip_declared_name(parser)) {
            continue;
        } else if (!is_name_start(peek(parser))) {
            report_here(parser, REPORT_ERROR, "not an assignment; commands are not run, only NAME=value is read");
            skip_line(parser);
        } else if (!take_assignment(parser)) {
            skip_line(parser);
        }
    }
}

/* A byte order mark and line ends of Windows are not meant; byte 0 is no text. */
static size_t make_text(char *data, size_t size, struct report *report)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t kept = 0;
    bool returns = false;

    if (memchr(data, '\0', size) != NULL) {
        report_write(report, REPORT_ERROR, NULL, "not a text: it has a byte 0");
        return 0;
    }
    for (size_t i = size >= 3 && memcmp(data, mark, 3) == 0 ? 3 : 0; i < size; i++) {
        if (data[i] == '\r' && i + 1 < size && data[i + 1] == '\n') {
            returns = true;
        } else {
            data[kept++] = data[i];
        }
    }
    if (returns) {
        report_write(report, REPORT_WARNING, NULL, "its lines end in CR and LF; a shell, and so ImageBuilder, takes "
                                                   "the CR for a part of each value");
    }
    return kept;
}

static size_t read_file(const char *file, char *data, struct report *report)
{
    const bool is_stdin = strcmp(file, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(file, "rb");
    size_t size = 0;

    if (stream == NULL) {
        report_write(report, REPORT_ERROR, NULL, "cannot be opened: %s", strerror(errno));
        return 0;
    }
    size = fread(data, 1, ASSIGNMENTS_FILE_MAX + 1, stream);
    if (ferror(stream) != 0) {
        report_write(report, REPORT_ERROR, NULL, "cannot be read: %s", strerror(errno));
        size = 0;
    }
    if (!is_stdin) {
        fclose(stream);
    }
    if (size > ASSIGNMENTS_FILE_MAX) {
        report_write(report, REPORT_ERROR, NULL, "larger than %u MiB: not a configuration", ASSIGNMENTS_FILE_MAX >> 20);
        size = 0;
    }
    return make_text(data, size, report);
}

bool assignments_init(struct assignments *assignments, const char *file, struct report *report)
{
    const unsigned int errors = report->errors;
    struct parser *parser = calloc(1, sizeof(*parser));
    char *data = malloc(ASSIGNMENTS_FILE_MAX + 1);

    memset(assignments, 0, sizeof(*assignments));
    assignments->report = report;
    assignments->entries = calloc(ASSIGNMENTS_MAX, sizeof(*assignments->entries));
    if (parser == NULL || data == NULL || assignments->entries == NULL) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
    } else {
        const size_t size = read_file(file, data, report);

        *parser = (struct parser){.assignments = assignments, .next = data, .end = data + size, .line = 1};
        parse(parser);
    }
    free(data);
    free(parser);
    return report->errors == errors;
}

void assignments_finish(struct assignments *assignments)
{
    for (size_t i = 0; i < assignments->count; i++) {
        free(assignments->entries[i].value);
    }
    free(assignments->entries);
    memset(assignments, 0, sizeof(*assignments));
}
