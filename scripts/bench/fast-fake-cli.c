/*
 * The smallest stand-in for the CLI, for benchmarks: a static binary that starts in about a millisecond, so that a
 * measurement shows the library and not the process it runs.
 *
 *   cc -O2 -static -o fast-fake-cli fast-fake-cli.c
 *
 * With --input-format=stream-json (one token or two) it reads lines from stdin until EOF: a control_request gets a
 * success control_response with its request_id (end_session also ends the process), a user line gets one turn: init,
 * status, assistant, rate_limit_event, result. Otherwise it prints one turn at once and does not read stdin.
 * FAKE_FILE=path sends the bytes of that file instead of the turn, followed by the result line.
 * --session-id and --resume set the session id, --version prints a version.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  const char *at;
  size_t size;
} span;

static char out[1 << 16];
static size_t held;
static const char *session = "00000000-0000-4000-8000-000000000000";
static const char *file_bytes;
static size_t file_size;
static unsigned results;
static unsigned serial;

static void write_all(const char *from, size_t size) {
  while (size > 0) {
    ssize_t n = write(1, from, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) exit(errno == EPIPE ? 0 : 1);
    from += n;
    size -= (size_t)n;
  }
}

static void flush(void) {
  write_all(out, held);
  held = 0;
}

static void put(const char *from, size_t size) {
  if (size > sizeof out - held) flush();
  if (size > sizeof out) {
    write_all(from, size);
  } else {
    memcpy(out + held, from, size);
    held += size;
  }
}

static void puts_out(const char *text) { put(text, strlen(text)); }

static void put_number(unsigned value) {
  char text[16];
  put(text, (size_t)snprintf(text, sizeof text, "%u", value));
}

/* The tail that every line but the control envelope has: the session, and a uuid that is new each time. */
static void put_ids(void) {
  char uuid[64];
  int n = snprintf(uuid, sizeof uuid, "\",\"uuid\":\"%08x-0000-4000-8000-%012x\"", (unsigned)getpid(), ++serial);
  puts_out("\"session_id\":\"");
  puts_out(session);
  put(uuid, (size_t)n);
}

#define USAGE "\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"

static void put_result(void) {
  puts_out("{\"duration_api_ms\":1,\"stop_reason\":\"end_turn\",");
  put_ids();
  puts_out(",\"total_cost_usd\":");
  char cost[32];
  put(cost, (size_t)snprintf(cost, sizeof cost, "%.5f", 0.00012 * (results + 1)));
  puts_out("," USAGE "\"output_tokens\":1},\"modelUsage\":{},\"permission_denials\":[],"
           "\"terminal_reason\":\"completed\",\"is_error\":false,\"num_turns\":1,\"subtype\":\"success\","
           "\"api_error_status\":null,\"result\":\"ok\",\"ttft_ms\":1,\"type\":\"result\",\"duration_ms\":1,"
           "\"queued_turn_count\":0,\"result_index\":");
  put_number(results++);
  puts_out("}\n");
}

static void put_turn(void) {
  if (file_bytes != NULL) {
    put(file_bytes, file_size);
    if (file_size > 0 && file_bytes[file_size - 1] != '\n') puts_out("\n");
    put_result();
    flush();
    return;
  }
  puts_out("{\"type\":\"system\",\"subtype\":\"init\",\"cwd\":\"/\",\"tools\":[],\"mcp_servers\":[],"
           "\"model\":\"claude-opus-5-5\",\"permissionMode\":\"default\",\"slash_commands\":[],\"agents\":[],"
           "\"skills\":[],\"plugins\":[],\"apiKeySource\":\"none\",\"claude_code_version\":\"2.1.330\","
           "\"output_style\":\"default\",");
  put_ids();
  puts_out("}\n{\"type\":\"system\",\"subtype\":\"status\",\"status\":\"requesting\",");
  put_ids();
  puts_out("}\n{\"type\":\"assistant\",\"message\":{\"id\":\"msg_fast_");
  put_number(results);
  puts_out("\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[{\"type\":\"text\","
           "\"text\":\"ok\"}],\"stop_reason\":null,\"stop_sequence\":null," USAGE "\"output_tokens\":1}},"
           "\"parent_tool_use_id\":null,");
  put_ids();
  puts_out("}\n{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"allowed\",\"resetsAt\":4102444800,"
           "\"rateLimitType\":\"five_hour\",\"isUsingOverage\":false},");
  put_ids();
  puts_out("}\n");
  put_result();
  flush();
}

/* Past the JSON string that starts at its opening quote. */
static const char *skip_string(const char *p, const char *end) {
  for (p++; p < end && *p != '"'; p++) {
    if (*p == '\\') p++;
  }
  return p < end ? p + 1 : end;
}

static const char *skip_space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
  return p;
}

/* The raw value of a key of the object that starts at `p`, at its own level only; quotes included. */
static span member(const char *p, const char *end, const char *key) {
  size_t length = strlen(key);
  int depth = 0;
  while (p < end) {
    if (*p == '{' || *p == '[') depth++;
    if (*p == '}' || *p == ']') depth--;
    if (*p != '"') {
      p++;
      continue;
    }
    const char *start = p;
    p = skip_string(p, end);
    const char *colon = skip_space(p, end);
    int is_key = depth == 1 && colon < end && *colon == ':';
    if (!is_key || (size_t)(p - start) != length + 2 || memcmp(start + 1, key, length) != 0) continue;
    const char *value = skip_space(colon + 1, end);
    const char *stop = value;
    if (value < end && *value == '"') {
      stop = skip_string(value, end);
    } else {
      for (int inner = 0; stop < end; stop++) {
        if (*stop == '"') stop = skip_string(stop, end) - 1;
        else if (*stop == '{' || *stop == '[') inner++;
        else if (*stop == '}' || *stop == ']' || *stop == ',') {
          if (inner == 0) break;
          if (*stop != ',') inner--;
        }
      }
    }
    return (span){value, (size_t)(stop - value)};
  }
  return (span){NULL, 0};
}

static int is(span value, const char *json) {
  return value.at != NULL && value.size == strlen(json) && memcmp(value.at, json, value.size) == 0;
}

static void on_line(const char *line, const char *end) {
  span type = member(line, end, "type");
  if (is(type, "\"user\"")) put_turn();
  if (!is(type, "\"control_request\"")) return;
  span id = member(line, end, "request_id");
  span request = member(line, end, "request");
  puts_out("{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\"");
  if (id.at != NULL) {
    puts_out(",\"request_id\":");
    put(id.at, id.size);
  }
  puts_out(",\"response\":{\"commands\":[],\"agents\":[],\"models\":[],\"account\":{},\"output_style\":\"default\","
           "\"available_output_styles\":[\"default\"],\"pid\":");
  put_number((unsigned)getpid());
  puts_out("}}}\n");
  flush();
  if (request.at == NULL) return;
  if (is(member(request.at, request.at + request.size, "subtype"), "\"end_session\"")) exit(0);
}

static void serve(void) {
  size_t room = 1 << 16;
  size_t used = 0;
  char *buffer = malloc(room);
  for (;;) {
    if (used == room) buffer = realloc(buffer, room *= 2);
    if (buffer == NULL) exit(1);
    ssize_t n = read(0, buffer + used, room - used);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    char *line = buffer;
    char *scan = buffer + used;
    char *end = buffer + (used += (size_t)n);
    for (char *newline; (newline = memchr(scan, '\n', (size_t)(end - scan))) != NULL; scan = line = newline + 1) {
      on_line(line, newline);
    }
    used = (size_t)(end - line);
    memmove(buffer, line, used);
  }
  if (used > 0) on_line(buffer, buffer + used);
}

static void load(const char *path) {
  struct stat facts;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &facts) < 0) {
    perror(path);
    exit(2);
  }
  char *bytes = malloc((size_t)facts.st_size + 1);
  while (bytes != NULL && file_size < (size_t)facts.st_size) {
    ssize_t n = read(fd, bytes + file_size, (size_t)facts.st_size - file_size);
    if (n <= 0) break;
    file_size += (size_t)n;
  }
  close(fd);
  file_bytes = bytes;
}

/* The value of `--name=value` or `--name value`, else NULL. */
static const char *flag(int argc, char **argv, const char *name) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, length) != 0) continue;
    if (argv[i][length] == '=') return argv[i] + length + 1;
    if (argv[i][length] == '\0') return i + 1 < argc ? argv[i + 1] : "";
  }
  return NULL;
}

int main(int argc, char **argv) {
  const char *input = flag(argc, argv, "--input-format");
  const char *named = flag(argc, argv, "--session-id");
  if (named == NULL) named = flag(argc, argv, "--resume");
  if (named != NULL) session = named;
  if (flag(argc, argv, "--version") != NULL) {
    puts_out("2.1.330 (fast-fake-cli)\n");
    flush();
    return 0;
  }
  if (getenv("FAKE_FILE") != NULL) load(getenv("FAKE_FILE"));
  if (input != NULL && strcmp(input, "stream-json") == 0) serve();
  else put_turn();
  return 0;
}
