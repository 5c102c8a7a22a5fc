/* The limit loadmux is measured beside: the least a single-threaded epoll client can do.
 *
 * usage: epoll_client HOST PORT CONNECTIONS SECONDS REQUEST REPLY [churn]
 * Each connection sends REQUEST, reads until REPLY is complete, compares every byte, and goes on.
 * Edge-triggered, one send and one recv an exchange, one clock call on each side of it and a sum of
 * the latencies: what any load generator must do. Prints "exchanges rate mean_us" (the rate from the
 * first send to the last reply, connecting left out), exits 1 on a wrong byte or a lost connection.
 * With "churn" it closes each connection after its exchange and opens the next in its place; the
 * latency and the rate then hold the connecting too. REQUEST and REPLY take \r and \n escapes; REQUEST must fit into an empty send buffer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int fd;
    int connecting;
    size_t got;
    uint64_t began;
};

static struct sockaddr_in address;
static int poller;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static size_t unescape(char *text) {
    char *out = text;
    for (char *in = text; *in; in++) {
        if (*in == '\\' && (in[1] == 'r' || in[1] == 'n')) {
            in++;
            *out++ = *in == 'r' ? '\r' : '\n';
        } else {
            *out++ = *in;
        }
    }
    *out = 0;
    return (size_t)(out - text);
}

static void send_request(struct connection *c, const char *request, size_t length) {
    if (send(c->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("send");
}

static void begin(struct connection *c, const char *request, size_t length) {
    c->got = 0;
    c->began = now_ns();
    send_request(c, request, length);
}

/* Blocking, so that it is connected on return, or only begun: then it reports when it is writable. */
static void open_socket(struct connection *c, int flags) {
    int one = 1;
    c->got = 0;
    c->began = now_ns();
    c->connecting = flags != 0;
    c->fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (c->fd < 0)
        fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    if (c->connecting)
        event.events |= EPOLLOUT;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll_ctl");
}

int main(int argc, char **argv) {
    if (argc != 7 && !(argc == 8 && strcmp(argv[7], "churn") == 0)) {
        fprintf(stderr, "usage: %s HOST PORT CONNECTIONS SECONDS REQUEST REPLY [churn]\n", argv[0]);
        return 2;
    }
    int churn = argc == 8;
    int count = atoi(argv[3]);
    double seconds = atof(argv[4]);
    char *request = argv[5], *reply = argv[6];
    size_t request_length = unescape(request), reply_length = unescape(reply);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1 || count < 1 || reply_length < 1) {
        fprintf(stderr, "HOST must be an IPv4 address, CONNECTIONS positive, REPLY not empty\n");
        return 2;
    }
    poller = epoll_create1(0);
    struct connection *all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count && !churn; i++)
        open_socket(&all[i], 0);

    struct epoll_event events[1024];
    char buffer[65536];
    uint64_t started = now_ns(), until = started + (uint64_t)(seconds * 1e9), last = started;
    uint64_t latency = 0, done = 0;
    int waiting = count;
    for (int i = 0; i < count; i++) {
        if (churn)
            open_socket(&all[i], SOCK_NONBLOCK);
        else
            begin(&all[i], request, request_length);
    }
    while (waiting) {
        int n = epoll_wait(poller, events, 1024, 5000);
        if (n <= 0) {
            fprintf(stderr, "no reply within 5 s\n");
            return 1;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->connecting) {
                c->connecting = 0;
                send_request(c, request, request_length);
                continue;
            }
            if (events[i].events == EPOLLOUT)
                continue;
            ssize_t got = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (got == 0) {
                fprintf(stderr, "closed by the server\n");
                return 1;
            }
            if (got < 0)
                fail("recv");
            if (c->got + (size_t)got > reply_length || memcmp(buffer, reply + c->got, (size_t)got) != 0) {
                fprintf(stderr, "wrong reply\n");
                return 1;
            }
            c->got += (size_t)got;
            if (c->got < reply_length)
                continue;
            last = now_ns();
            latency += last - c->began;
            done++;
            if (churn)
                close(c->fd);
            if (last >= until)
                waiting--;
            else if (churn)
                open_socket(c, SOCK_NONBLOCK);
            else
                begin(c, request, request_length);
        }
    }
    double spent = (double)(last - started) / 1e9;
    printf("%llu %.1f %.2f\n", (unsigned long long)done, (double)done / spent,
           (double)latency / (double)done / 1000.0);
    return 0;
}
