/* The compiled pump: moves plain TCP connections of PostgreSQL sessions in a thread of its own, without Python.
 *
 * Guarantees: as `scan.py` and `twin.py`, which are its specification and pass the same tests. Nothing is passed on
 * whose header is not complete and allowed; what must be kept of it is in a frame before it is passed on; no side is
 * read while the other does not take what comes, or while the recording owes more than HOLD_SIZE; deadlines are kept
 * by this thread's clock, whatever Python does. An idle session has no buffer.
 *
 * Called by `native.py` through ctypes. Commands go in and events come out through two queues, each with an eventfd.
 * All else belongs to the thread alone. Without memory the process ends: no session goes on unrecorded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    VERSION = 2,
    READ_SIZE = 65536,
    MESSAGE_HEADER = 5,
    PIECE_HEADER = 13,
    FLUSH_SIZE = 65536,
    HOLD_SIZE = 4 * FLUSH_SIZE,
    LONGEST_MESSAGE = 0x3FFFFFFF,
    LONGEST_NAMES = 8192,
    OID_SIZE = 4,
    BATCH = 256,
};

static const int64_t MILLISECOND = 1000000;
static const int64_t FLUSH_AFTER = 100 * MILLISECOND, MESSAGE_GRACE = 50 * MILLISECOND, LINGER = 1000 * MILLISECOND;
/* Of flows that are cut one soon after the other, only the first leaves its server at once; the others do so after this
   time, one by one: a server whose every session ends at once would leave no processor to tell the clients. */
static const int64_t HEAD_START = 150 * MILLISECOND, SERVER_PACE = MILLISECOND / 4;

/* `native.py` has the same lists. A flow that is done may be BUSY: the server has not answered all it was asked. */
enum end { NOT_ENDED, CLIENT, SERVER, DEADLINE, IDLE, CUT, BAD_CLIENT, BAD_SERVER, REPLICATION, NOT_RECORDED };
enum what { ATTACH, FINISH, INSERT, TAKEN, QUIT, FREE, STOP };
enum event_kind { FRAME, DONE, CLOSED };
enum { BUSY = 256 };
enum counter { NONE, STATEMENTS, ROWS, COPIED, ERRORS, NOTIFICATIONS, BYES, BYTES_IN, BYTES_OUT, COUNTERS };
enum timer { WATCH, LEAVE, PART, ABORT };

struct flow;

/* What Python gets: a frame of pieces, or news of a flow in `size`: its end. */
struct event {
    struct event *next;
    struct flow *flow;
    uint32_t kind, size;
    uint8_t data[];
};

struct command {
    struct command *next;
    struct flow *flow;
    enum what what;
    enum end end;
    size_t size;
    uint8_t data[];
};

struct bytes {
    uint8_t *data;
    size_t size, room, sent;
};

/* Of a Bind the names, of a FunctionCall the OID, where parameters are redacted. */
struct head {
    uint8_t kind;
    size_t size;
    uint8_t data[LONGEST_NAMES];
};

/* One direction, as `Stream`. */
struct stream {
    bool server, redact, keeping, unsynced;
    uint8_t held[MESSAGE_HEADER - 1];
    uint8_t held_size;
    uint32_t left;
    struct head *head;
};

/* One connection. `pending` did not fit into the kernel's buffer yet. */
struct side {
    struct flow *flow;
    int fd;
    uint32_t mask;
    bool server, eof, failed, end_wanted, end_said;
    struct bytes pending;
};

struct flow {
    struct side client, server;
    struct stream in, out;
    _Atomic uint64_t counters[COUNTERS];
    struct pump *pump;
    struct bytes inserts, farewells[3], farewell, before[2];
    struct event *frame;
    size_t frame_room, piece;
    uint64_t owed, asked;
    int64_t ends_at, idle, seen_at, timer_at;
    size_t slot;
    enum timer timer;
    enum end end;
    bool closing, done, closed, client_said_all, dirty, freed;
    struct flow *next_dirty;
};


struct pump {
    pthread_t thread;
    pthread_mutex_t lock;
    int epoll;
    struct command *commands, **last_command;
    struct event *events, **last_event;
    int commands_fd, events_fd;
    bool stopped;
    int64_t now, flush_at, part_at;
    struct flow *dirty;
    struct flow **heap;
    size_t heap_size, heap_room;
    uint8_t buffer[MESSAGE_HEADER + READ_SIZE];
};

/* ---- memory and time ---- */

static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void append(struct bytes *to, const uint8_t *data, size_t size) {
    if (!size) return;
    if (to->room - to->size < size) {
        to->room = (to->size + size) * 5 / 4;
        to->data = must(realloc(to->data, to->room));
    }
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void discard(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void put32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* Only the thread writes, so that no locked addition is needed. */
static void count(struct flow *flow, enum counter which, uint64_t more) {
    uint64_t had = atomic_load_explicit(&flow->counters[which], memory_order_relaxed);
    atomic_store_explicit(&flow->counters[which], had + more, memory_order_relaxed);
}

static uint64_t counted(struct flow *flow, enum counter which) {
    return atomic_load_explicit(&flow->counters[which], memory_order_relaxed);
}

/* ---- kinds of messages ---- */

enum { ALLOWED = 16, KEPT = 32, SYNCS = 64, OPENS = 128, COUNTER = 15 };
static uint8_t kinds[2][256];
static pthread_once_t kinds_are_known = PTHREAD_ONCE_INIT;

static void mark(uint8_t *table, const char *which, uint8_t as) {
    for (; *which; which++) table[(uint8_t)*which] |= as;
}

static void know_kinds(void) {
    mark(kinds[0], "BCDEFHPQSXcdf", ALLOWED);
    mark(kinds[0], "BCDEFHPQSXcf", KEPT);
    mark(kinds[0], "QEF", STATEMENTS);
    mark(kinds[0], "d", COPIED);
    mark(kinds[0], "X", BYES);
    mark(kinds[0], "QSF", SYNCS);
    mark(kinds[0], "BCDEHP", OPENS);
    mark(kinds[1], "123ACDEGHINSTVZcdnst", ALLOWED);
    mark(kinds[1], "123CEGHINSZnst", KEPT);
    mark(kinds[1], "D", ROWS);
    mark(kinds[1], "d", COPIED);
    mark(kinds[1], "E", ERRORS);
    mark(kinds[1], "A", NOTIFICATIONS);
    mark(kinds[1], "Z", SYNCS);
}

/* ---- events for Python ---- */

static void wake(int fd) {
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

static void calm(int fd) {
    uint64_t times;
    while (read(fd, &times, sizeof times) < 0 && errno == EINTR) {}
}

static void tell(struct pump *pump, struct event *event) {
    event->next = NULL;
    pthread_mutex_lock(&pump->lock);
    bool first = !pump->events;
    *pump->last_event = event;
    pump->last_event = &event->next;
    pthread_mutex_unlock(&pump->lock);
    if (first) wake(pump->events_fd);
}

static void tell_news(struct flow *flow, enum event_kind kind, uint32_t news) {
    struct event *event = must(malloc(sizeof *event));
    *event = (struct event){.flow = flow, .kind = kind, .size = news};
    tell(flow->pump, event);
}

/* ---- what is kept ---- */

static void flush_frame(struct flow *flow) {
    if (!flow->frame) return;
    flow->owed += flow->frame->size;
    tell(flow->pump, flow->frame);
    flow->frame = NULL;
    flow->frame_room = 0;
}

static uint8_t *room_in_frame(struct flow *flow, size_t more) {
    size_t had = flow->frame ? flow->frame->size : 0;
    if (flow->frame_room - had < more) {
        flow->frame_room = (had + more) * 2 < 1024 ? 1024 : (had + more) * 2;
        bool first = !flow->frame;
        flow->frame = must(realloc(flow->frame, sizeof *flow->frame + flow->frame_room));
        if (first) *flow->frame = (struct event){.flow = flow, .kind = FRAME};
    }
    flow->frame->size = (uint32_t)(had + more);
    return flow->frame->data + had;
}

/* Adds to the piece that is being made of what came just now; `piece` is where its bytes begin, 0 without one. */
static void keep(struct flow *flow, bool server, const uint8_t *data, size_t size) {
    if (!size) return;
    if (!flow->piece) {
        uint8_t *header = room_in_frame(flow, PIECE_HEADER);
        uint64_t micros = (uint64_t)(clock_ns(CLOCK_REALTIME) / 1000);
        header[0] = server ? 's' : 'c';
        put32(header + 5, (uint32_t)(micros >> 32));
        put32(header + 9, (uint32_t)micros);
        flow->piece = flow->frame->size;
    }
    memcpy(room_in_frame(flow, size), data, size);
}

static void end_piece(struct flow *flow) {
    if (!flow->piece) return;
    put32(flow->frame->data + flow->piece - PIECE_HEADER + 1, (uint32_t)(flow->frame->size - flow->piece));
    flow->piece = 0;
    if (flow->frame->size >= FLUSH_SIZE) {
        flush_frame(flow);
    } else if (!flow->dirty) {
        struct pump *pump = flow->pump;
        if (!pump->dirty) pump->flush_at = pump->now + FLUSH_AFTER;
        flow->dirty = true;
        flow->next_dirty = pump->dirty;
        pump->dirty = flow;
    }
}

/* ---- reading messages ---- */

static ptrdiff_t end_of_head(const struct head *head) {
    if (head->kind == 'F') return head->size >= OID_SIZE ? OID_SIZE : -1;
    const uint8_t *portal = memchr(head->data, 0, head->size);
    if (!portal) return -1;
    const uint8_t *name = memchr(portal + 1, 0, head->size - (size_t)(portal + 1 - head->data));
    return name ? name + 1 - head->data : -1;
}

/* More of a message of which only the head is kept; false where it cannot be one. */
static bool gather(struct flow *flow, struct stream *stream, const uint8_t *body, size_t size) {
    struct head *head = stream->head;
    if (size > LONGEST_NAMES - head->size) size = LONGEST_NAMES - head->size;
    memcpy(head->data + head->size, body, size);
    head->size += size;
    ptrdiff_t end = end_of_head(head);
    if (end >= 0) {
        head->size = (size_t)end;
    } else if (head->size == LONGEST_NAMES) {
        return false;
    }
    if (end >= 0 || !stream->left) {
        uint8_t header[MESSAGE_HEADER] = {head->kind == 'B' ? 'b' : 'k'};
        put32(header + 1, (uint32_t)head->size + 4);
        keep(flow, stream->server, header, sizeof header);
        keep(flow, stream->server, head->data, head->size);
        free(head);
        stream->head = NULL;
    }
    return true;
}

static bool begin_head(struct flow *flow, struct stream *stream, uint8_t kind, const uint8_t *body, size_t size) {
    free(stream->head);
    stream->head = must(malloc(sizeof *stream->head));
    stream->head->kind = kind;
    stream->head->size = 0;
    return gather(flow, stream, body, size);
}

static enum end fault_of(const struct stream *stream, uint8_t kind, uint32_t length) {
    if (stream->server && kind == 'W') return REPLICATION;
    if (kinds[stream->server][kind] & ALLOWED && length >= 4 && length <= LONGEST_MESSAGE) return NOT_ENDED;
    return stream->server ? BAD_SERVER : BAD_CLIENT;
}

/* More of the message that is on its way. */
static bool body(struct flow *flow, struct stream *stream, const uint8_t *data, size_t size) {
    stream->left -= (uint32_t)size;
    if (stream->keeping) keep(flow, stream->server, data, size);
    return !stream->head || gather(flow, stream, data, size);
}

/* Reads headers, keeps runs of messages. Returns how much may be passed on; `end` is where the last message ends. */
static size_t scan(struct flow *flow, struct stream *stream, const uint8_t *data, size_t size, size_t *end,
                   enum end *fault) {
    size_t at = stream->left < size ? stream->left : size, run = at;
    *end = 0;
    *fault = NOT_ENDED;
    if (at && !body(flow, stream, data, at)) return *fault = BAD_CLIENT, 0;
    if (!stream->left) *end = at;
    while (!stream->left && size - at >= MESSAGE_HEADER) {
        uint8_t kind = data[at], known = kinds[stream->server][kind];
        uint32_t length = get32(data + at + 1);
        size_t begin = at;
        bool head = stream->redact && (kind == 'B' || kind == 'F');
        if ((*fault = fault_of(stream, kind, length))) {
            if (stream->keeping) keep(flow, stream->server, data + run, at - run);
            return at;
        }
        if (known & COUNTER) count(flow, known & COUNTER, 1);
        if (known & SYNCS) flow->asked += stream->server ? (uint64_t)-1 : 1;
        if (known & (SYNCS | OPENS)) stream->unsynced = known & OPENS;
        bool keeping = known & KEPT && !head;
        if (stream->keeping && !keeping) keep(flow, stream->server, data + run, at - run);
        if (keeping && !stream->keeping) run = at;
        stream->keeping = keeping;
        stream->left = size - at - 1 < length ? (uint32_t)(length - (size - at - 1)) : 0;
        at = stream->left ? size : at + 1 + length;
        if (head && !begin_head(flow, stream, kind, data + begin + MESSAGE_HEADER, at - begin - MESSAGE_HEADER))
            return *fault = BAD_CLIENT, begin;
        if (!stream->left) *end = at;
    }
    if (stream->keeping) keep(flow, stream->server, data + run, at - run);
    stream->held_size = (uint8_t)(size - at);
    memcpy(stream->held, data + at, size - at);
    return at;
}

/* ---- timers: a heap, the earliest first; slots count from 1 ---- */

static void place(struct pump *pump, size_t slot, struct flow *flow) {
    pump->heap[slot] = flow;
    flow->slot = slot;
}

static void sift_up(struct pump *pump, struct flow *flow) {
    size_t slot = flow->slot;
    for (; slot > 1 && pump->heap[slot / 2]->timer_at > flow->timer_at; slot /= 2)
        place(pump, slot, pump->heap[slot / 2]);
    place(pump, slot, flow);
}

static void sift_down(struct pump *pump, struct flow *flow) {
    size_t slot = flow->slot, child;
    while ((child = slot * 2) <= pump->heap_size) {
        if (child < pump->heap_size && pump->heap[child + 1]->timer_at < pump->heap[child]->timer_at) child++;
        if (pump->heap[child]->timer_at >= flow->timer_at) break;
        place(pump, slot, pump->heap[child]);
        slot = child;
    }
    place(pump, slot, flow);
}

static void set_timer(struct flow *flow, enum timer timer, int64_t at) {
    struct pump *pump = flow->pump;
    flow->timer = timer;
    flow->timer_at = at;
    if (!flow->slot) {
        if (++pump->heap_size >= pump->heap_room) {
            pump->heap_room = pump->heap_size * 2 + 16;
            pump->heap = must(realloc(pump->heap, pump->heap_room * sizeof *pump->heap));
        }
        place(pump, pump->heap_size, flow);
    }
    sift_up(pump, flow);
    sift_down(pump, flow);
}

static void stop_timer(struct flow *flow) {
    struct pump *pump = flow->pump;
    size_t slot = flow->slot;
    if (!slot) return;
    flow->slot = 0;
    struct flow *last = pump->heap[pump->heap_size--];
    if (last != flow) {
        place(pump, slot, last);
        sift_up(pump, last);
        sift_down(pump, last);
    }
}

/* ---- connections ---- */

static void close_side(struct side *side) {
    if (side->fd < 0) return;
    /* Closing is not enough to be no longer watched where a child of the process has the connection too. */
    if (side->mask) epoll_ctl(side->flow->pump->epoll, EPOLL_CTL_DEL, side->fd, NULL);
    close(side->fd);
    side->fd = -1;
    side->mask = 0;
    discard(&side->pending);
}

static void failed(struct side *side) {
    side->failed = true;
    discard(&side->pending);
}

static bool only_for_now(void) { return errno == EAGAIN || errno == EINTR; }

/* What does not fit waits; who calls looks at `failed` when it is done with the flow. */
static void send_to(struct side *side, const uint8_t *data, size_t size) {
    if (!size || side->fd < 0 || side->failed) return;
    if (!side->pending.size) {
        ssize_t sent = send(side->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && !only_for_now()) {
            failed(side);
            return;
        }
        if (sent > 0) data += sent, size -= (size_t)sent;
    }
    append(&side->pending, data, size);
}

static void send_pending(struct side *side) {
    struct bytes *pending = &side->pending;
    ssize_t sent = send(side->fd, pending->data + pending->sent, pending->size - pending->sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (!only_for_now()) failed(side);
        return;
    }
    pending->sent += (size_t)sent;
    if (pending->sent == pending->size) discard(pending);
}

static void interest(struct side *side, bool reads) {
    uint32_t mask = (reads ? EPOLLIN : 0) | (side->pending.size ? EPOLLOUT : 0);
    if (side->fd < 0 || mask == side->mask) return;
    /* Without interest a connection is not watched at all: it would be told again and again that it hung up. */
    int how = !mask ? EPOLL_CTL_DEL : side->mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    struct epoll_event event = {.events = mask, .data.ptr = side};
    if (epoll_ctl(side->flow->pump->epoll, how, side->fd, &event) < 0) abort();
    side->mask = mask;
}

/* ---- how a flow ends, as in `TwinFlow` ---- */

static void over(struct flow *flow) {
    if (flow->done) return;
    flow->done = true;
    stop_timer(flow);
    flush_frame(flow);
    if (flow->client.fd >= 0) set_timer(flow, ABORT, flow->pump->now + LINGER);
    bool busy = flow->asked || flow->in.unsynced;
    tell_news(flow, DONE, (flow->end ? flow->end : CUT) | (busy ? BUSY : 0));
}

static void abort_flow(struct flow *flow) {
    flow->closing = true;
    close_side(&flow->server);
    close_side(&flow->client);
    over(flow);
}

static void watch(struct flow *flow);

/* Closes the server's connection: the last that is done for a client that has its farewell. */
static void part(struct flow *flow) {
    close_side(&flow->server);
    if (flow->client.fd < 0)
        over(flow);
    else if (!flow->client.end_said)
        set_timer(flow, ABORT, flow->pump->now + MESSAGE_GRACE);
}

/* Says the farewell if no message is open, leaves the server, and lets the client read what is left. */
static void leave(struct flow *flow) {
    struct pump *pump = flow->pump;
    if (flow->closing) return;
    flow->closing = true;
    if (!flow->out.left) send_to(&flow->client, flow->farewell.data, flow->farewell.size);
    flow->client.end_wanted = true;
    if (flow->client.fd < 0) {
        part(flow);
    } else if (flow->end == CLIENT || flow->end == SERVER) {
        close_side(&flow->server);
        watch(flow);
    } else {
        bool alone = pump->part_at <= pump->now;
        set_timer(flow, PART, alone ? pump->now : pump->part_at);
        pump->part_at = alone ? pump->now + HEAD_START : pump->part_at + SERVER_PACE;
    }
}

static void finish(struct flow *flow, enum end end, const struct bytes *farewell) {
    if (flow->end) {
        bool by_itself = flow->end == CLIENT || flow->end == SERVER;
        if (by_itself && (end == CUT || end == DEADLINE || end == IDLE))
            abort_flow(flow);
        else if (flow->server.fd < 0)
            leave(flow);
        return;
    }
    flow->end = end;
    if (farewell) append(&flow->farewell, farewell->data, farewell->size);
    discard(&flow->inserts);
    if (flow->out.left && flow->farewell.size && flow->server.fd >= 0 && flow->client.fd >= 0)
        set_timer(flow, LEAVE, flow->pump->now + MESSAGE_GRACE);
    else
        leave(flow);
}

/* A client that said goodbye is left by its server: it is the client's end. */
static void server_left(struct flow *flow) {
    bool goodbye = flow->client_said_all || counted(flow, BYES);
    close_side(&flow->server);
    finish(flow, goodbye ? CLIENT : SERVER, NULL);
}

static void client_lost(struct flow *flow) {
    close_side(&flow->client);
    if (flow->closing)
        part(flow);
    else
        finish(flow, CLIENT, NULL);
}

static void watch(struct flow *flow) {
    int64_t now = flow->pump->now, idle_at = flow->idle ? flow->seen_at + flow->idle : flow->ends_at;
    if (now >= flow->ends_at)
        finish(flow, DEADLINE, &flow->farewells[0]);
    else if (now >= idle_at)
        finish(flow, IDLE, &flow->farewells[1]);
    else
        set_timer(flow, WATCH, idle_at < flow->ends_at ? idle_at : flow->ends_at);
}

/* ---- what comes ---- */

static void from_client(struct flow *flow, const uint8_t *data, size_t size) {
    size_t end;
    enum end fault;
    size_t passed = scan(flow, &flow->in, data, size, &end, &fault);
    end_piece(flow);
    count(flow, BYTES_IN, passed);
    send_to(&flow->server, data, passed);
    if (fault) finish(flow, fault, &flow->farewells[2]);
}

static void from_server(struct flow *flow, const uint8_t *data, size_t size) {
    size_t end;
    enum end fault;
    if (flow->end && size > flow->out.left) size = flow->out.left;
    size_t passed = scan(flow, &flow->out, data, size, &end, &fault);
    end_piece(flow);
    count(flow, BYTES_OUT, passed);
    if (flow->inserts.size && end) {
        send_to(&flow->client, data, end);
        send_to(&flow->client, flow->inserts.data, flow->inserts.size);
        discard(&flow->inserts);
        data += end, passed -= end;
    }
    send_to(&flow->client, data, passed);
    if (fault)
        finish(flow, fault, &flow->farewells[2]);
    else if (flow->end && !flow->out.left)
        leave(flow);
}

static void said_all(struct side *side) {
    struct flow *flow = side->flow;
    side->eof = true;
    if (side->server) {
        server_left(flow);
    } else {
        flow->client_said_all = true;
        if (!flow->end) flow->server.end_wanted = true;
    }
}

static void read_side(struct side *side) {
    struct flow *flow = side->flow;
    struct stream *stream = side->server ? &flow->out : &flow->in;
    uint8_t *buffer = flow->pump->buffer;
    size_t held = stream->held_size;
    memcpy(buffer, stream->held, held);
    ssize_t got = recv(side->fd, buffer + held, READ_SIZE, 0);
    if (got < 0 && only_for_now()) return;
    if (got < 0) {
        if (side->server)
            server_left(flow);
        else
            client_lost(flow);
    } else if (got == 0) {
        said_all(side);
    } else if (!flow->closing) {
        stream->held_size = 0;
        flow->seen_at = flow->pump->now;
        (side->server ? from_server : from_client)(flow, buffer, held + (size_t)got);
    }
}

/* Brings everything that follows from what just happened; called last, for every event, timer and command. */
static void settle(struct flow *flow) {
    struct side *client = &flow->client, *server = &flow->server;
    /* A server that takes nothing more may still have said why: it is read to its end. */
    if (client->failed && client->fd >= 0) client_lost(flow);
    for (struct side *side = client;; side = server) {
        if (side->end_wanted && !side->end_said && side->fd >= 0 && !side->pending.size) {
            shutdown(side->fd, SHUT_WR);
            side->end_said = true;
        }
        if (side == server) break;
    }
    if (flow->closing && client->end_said && server->fd < 0) over(flow);
    if (flow->done && client->eof) close_side(client);
    bool waits = flow->owed > HOLD_SIZE && !flow->end;
    bool asks = !flow->end && !server->pending.size && !waits;
    interest(client, !client->eof && (flow->done || (asks && !flow->closing)));
    interest(server, !flow->closing && !client->pending.size && !waits);
    if (flow->done && client->fd < 0 && server->fd < 0 && !flow->closed) {
        flow->closed = true;
        stop_timer(flow);
        tell_news(flow, CLOSED, 0);
    }
}

/* ---- the thread ---- */

static void side_event(struct side *side, uint32_t events) {
    if (side->fd < 0) return;
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && side->pending.size) send_pending(side);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && side->mask & EPOLLIN) read_side(side);
    settle(side->flow);
}

static void attach(struct flow *flow) {
    int one = 1;
    setsockopt(flow->client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(flow->server.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    flow->seen_at = flow->pump->now;
    if (flow->before[1].size) from_server(flow, flow->before[1].data, flow->before[1].size);
    if (flow->before[0].size && !flow->end) from_client(flow, flow->before[0].data, flow->before[0].size);
    discard(&flow->before[0]);
    discard(&flow->before[1]);
    if (!flow->end) watch(flow);
}

static void insert(struct flow *flow, const struct command *command) {
    if (flow->end) return;
    if (flow->out.left)
        append(&flow->inserts, command->data, command->size);
    else
        send_to(&flow->client, command->data, command->size);
}

static void free_flow(struct flow *flow) {
    struct bytes *all[] = {&flow->inserts,      &flow->farewells[0], &flow->farewells[1], &flow->farewells[2],
                           &flow->farewell,     &flow->before[0],    &flow->before[1],    &flow->client.pending,
                           &flow->server.pending};
    if (flow->dirty) {
        flow->freed = true;
        return;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) discard(all[i]);
    free(flow->in.head);
    free(flow->frame);
    free(flow);
}

static void obey(struct pump *pump, struct command *command) {
    struct flow *flow = command->flow;
    struct bytes farewell = {.data = command->data, .size = command->size};
    switch (command->what) {
    case ATTACH: attach(flow); break;
    case FINISH: finish(flow, command->end, &farewell); break;
    case INSERT: insert(flow, command); break;
    case TAKEN: flow->owed -= command->size; break;
    case QUIT: abort_flow(flow); break;
    case FREE: free_flow(flow); return;
    case STOP: pump->stopped = true; return;
    }
    settle(flow);
}

static void obey_all(struct pump *pump) {
    pthread_mutex_lock(&pump->lock);
    struct command *command = pump->commands;
    pump->commands = NULL;
    pump->last_command = &pump->commands;
    pthread_mutex_unlock(&pump->lock);
    while (command) {
        struct command *next = command->next;
        obey(pump, command);
        free(command);
        command = next;
    }
}

static void flush_all(struct pump *pump) {
    struct flow *flow = pump->dirty;
    pump->dirty = NULL;
    while (flow) {
        struct flow *next = flow->next_dirty;
        flow->dirty = false;
        if (flow->freed) {
            free_flow(flow);
        } else {
            flush_frame(flow);
            settle(flow);
        }
        flow = next;
    }
}

static void run_timers(struct pump *pump) {
    if (pump->dirty && pump->now >= pump->flush_at) flush_all(pump);
    while (pump->heap_size && pump->heap[1]->timer_at <= pump->now) {
        struct flow *flow = pump->heap[1];
        stop_timer(flow);
        if (flow->timer == WATCH)
            watch(flow);
        else if (flow->timer == LEAVE)
            leave(flow);
        else if (flow->timer == PART)
            part(flow);
        else
            abort_flow(flow);
        settle(flow);
    }
}

/* Milliseconds until the next timer, rounded up: nothing ends before its time. */
static int patience(const struct pump *pump) {
    int64_t at = INT64_MAX;
    if (pump->heap_size) at = pump->heap[1]->timer_at;
    if (pump->dirty && pump->flush_at < at) at = pump->flush_at;
    if (at == INT64_MAX) return -1;
    int64_t wait = (at - pump->now + MILLISECOND - 1) / MILLISECOND;
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

static void *run(void *given) {
    struct pump *pump = given;
    struct epoll_event events[BATCH];
    while (!pump->stopped) {
        pump->now = clock_ns(CLOCK_MONOTONIC);
        int ready = epoll_wait(pump->epoll, events, BATCH, patience(pump));
        pump->now = clock_ns(CLOCK_MONOTONIC);
        /* Before the queue is taken: a command that is added after that wakes the thread again. */
        for (int i = 0; i < ready; i++)
            if (!events[i].data.ptr) calm(pump->commands_fd);
        /* Before anything is read: what came after a cut does not pass. A flow that is freed here closed its connections
           in an earlier turn, so that none of these events is its own. */
        obey_all(pump);
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr) side_event(events[i].data.ptr, events[i].events);
        run_timers(pump);
    }
    return NULL;
}

static void command(struct pump *pump, struct flow *flow, enum what what, enum end end, const uint8_t *data,
                    size_t size) {
    size_t carried = data ? size : 0;
    struct command *made = must(malloc(sizeof *made + carried));
    *made = (struct command){.flow = flow, .what = what, .end = end, .size = size};
    if (carried) memcpy(made->data, data, carried);
    pthread_mutex_lock(&pump->lock);
    bool first = !pump->commands;
    *pump->last_command = made;
    pump->last_command = &made->next;
    pthread_mutex_unlock(&pump->lock);
    if (first) wake(pump->commands_fd);
}

/* ---- what Python calls, in any thread; see native.py ---- */

uint32_t pump_version(void) { return VERSION; }

static bool start_thread(struct pump *pump) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&pump->thread, NULL, run, pump);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failure) pthread_setname_np(pump->thread, "lapse-pump");
    return !failure;
}

static void free_pump(struct pump *pump) {
    if (pump->epoll >= 0) close(pump->epoll);
    if (pump->commands_fd >= 0) close(pump->commands_fd);
    if (pump->events_fd >= 0) close(pump->events_fd);
    pthread_mutex_destroy(&pump->lock);
    free(pump->heap);
    free(pump);
}

/* A running pump, or NULL where the system gives no descriptors or no thread. */
struct pump *pump_open(void) {
    struct pump *pump = must(calloc(1, sizeof *pump));
    pthread_once(&kinds_are_known, know_kinds);
    pthread_mutex_init(&pump->lock, NULL);
    pump->last_command = &pump->commands;
    pump->last_event = &pump->events;
    pump->epoll = epoll_create1(EPOLL_CLOEXEC);
    pump->commands_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pump->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (pump->epoll < 0 || pump->commands_fd < 0 || pump->events_fd < 0 ||
        epoll_ctl(pump->epoll, EPOLL_CTL_ADD, pump->commands_fd, &event) < 0 || !start_thread(pump)) {
        free_pump(pump);
        return NULL;
    }
    return pump;
}

/* Readable when `pump_events` has something. */
int pump_events_fd(const struct pump *pump) { return pump->events_fd; }

/* A flow that does nothing yet. Both descriptors, non-blocking, are the pump's. Times are monotonic nanoseconds. */
struct flow *pump_flow(struct pump *pump, int client, int server, int64_t ends_at, int64_t idle, bool redact) {
    struct flow *flow = must(calloc(1, sizeof *flow));
    flow->pump = pump;
    flow->client = (struct side){.flow = flow, .fd = client};
    flow->server = (struct side){.flow = flow, .fd = server, .server = true};
    flow->in.redact = redact;
    flow->out.server = true;
    flow->ends_at = ends_at;
    flow->idle = idle;
    return flow;
}

/* Before `pump_attach`: what was read already (0 client, 1 server), and the farewells (2 deadline, 3 idle, 4 broken). */
void pump_give(struct flow *flow, int which, const uint8_t *data, size_t size) {
    append(which < 2 ? &flow->before[which] : &flow->farewells[which - 2], data, size);
}

void pump_attach(struct flow *flow) { command(flow->pump, flow, ATTACH, NOT_ENDED, NULL, 0); }

void pump_finish(struct flow *flow, int end, const uint8_t *farewell, size_t size) {
    command(flow->pump, flow, FINISH, (enum end)end, farewell, size);
}

void pump_insert(struct flow *flow, const uint8_t *data, size_t size) {
    command(flow->pump, flow, INSERT, NOT_ENDED, data, size);
}

/* The recording has `size` bytes of frames. */
void pump_taken(struct flow *flow, size_t size) { command(flow->pump, flow, TAKEN, NOT_ENDED, NULL, size); }

/* Closes both connections at once. */
void pump_quit(struct flow *flow) { command(flow->pump, flow, QUIT, NOT_ENDED, NULL, 0); }

/* After its CLOSED; the last call for a flow. */
void pump_free(struct flow *flow) { command(flow->pump, flow, FREE, NOT_ENDED, NULL, 0); }

void pump_counters(struct flow *flow, uint64_t *into) {
    for (int i = 0; i < COUNTERS; i++) into[i] = counted(flow, (enum counter)i);
}

/* All events so far, in their order; whoever takes them calls `pump_forget`. */
struct event *pump_events(struct pump *pump) {
    calm(pump->events_fd);
    pthread_mutex_lock(&pump->lock);
    struct event *events = pump->events;
    pump->events = NULL;
    pump->last_event = &pump->events;
    pthread_mutex_unlock(&pump->lock);
    return events;
}

void pump_forget(struct event *event) {
    while (event) {
        struct event *next = event->next;
        free(event);
        event = next;
    }
}

/* After the last flow was freed: ends the thread. */
void pump_close(struct pump *pump) {
    command(pump, NULL, STOP, NOT_ENDED, NULL, 0);
    pthread_join(pump->thread, NULL);
    flush_all(pump);
    free_pump(pump);
}
