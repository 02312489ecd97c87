/* The least that carrying a call can cost: bytes from one socket to another, and back.
 *
 * Nothing is parsed, converted, counted or guarded here, not even WebSocket: a caller's handshake passes through like
 * everything else. What this program takes of a core on a machine, at a moment, is the kernel's price for two sockets a
 * call, and every other figure is told as a multiple of it. So it is written as well as such a program can be: one thread,
 * one epoll, one read and one write for what is ready, one buffer for everybody, no allocation while the peers keep up.
 *
 *   relay LISTEN_PORT TARGET_PORT     both on 127.0.0.1; runs until it is terminated
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK = 16 * 1024,  /* the largest message, 100 ms at 24 kHz in base64, has 6.5 KB */
    READY = 256,        /* sockets served between two questions to the kernel */
};

/* One of a call's two sockets, and what its peer has sent that it has not taken yet. */
struct end {
    int fd;
    struct end *other;
    bool connecting;     /* its connection is still being made */
    bool finished;       /* it will send no more */
    uint32_t watched;    /* what epoll has been asked to tell; 0: nothing */
    char *late;          /* only while it reads too slowly: CHUNK bytes */
    size_t late_from, late_to;
};

static int poll_fd;
static char chunk[CHUNK];

/* Both ends of calls that ended in this pass: freed after it, for later events of the pass may still name them. */
static struct end *ended[READY];
static size_t ended_count;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* An end of which nothing is wanted is taken out altogether, for epoll would go on telling that its peer is gone. */
static void watch(struct end *end, uint32_t wanted) {
    if (end->watched == wanted) return;
    int how = end->watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = wanted, .data.ptr = end};
    if (epoll_ctl(poll_fd, how, end->fd, &event)) die("epoll_ctl");
    end->watched = wanted;
}

/* Asks for what makes sense now: reading only while the other one has taken everything, writing only while something waits. */
static void rewatch(struct end *end) {
    bool waits = end->late_to > end->late_from;
    bool other_waits = end->other->late_to > end->other->late_from;
    bool reads = !end->finished && !end->connecting && !end->other->connecting && !other_waits;
    watch(end, (reads ? EPOLLIN : 0) | (waits || end->connecting ? EPOLLOUT : 0));
}

/* One end of the call, not both, so that a call is freed once. */
static void hang_up(struct end *end) {
    if (end->fd < 0) return;
    close(end->fd);
    close(end->other->fd);
    end->fd = end->other->fd = -1;
    ended[ended_count++] = end;
}

static void set_no_delay(int fd) {
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A caller is there: makes its other end. */
static void take_call(int listener, const struct sockaddr_in *target) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return; /* gone again, or no descriptor left: the next one may be luckier */
    int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct end *ends = up < 0 ? NULL : calloc(2, sizeof *ends);
    if (!ends) {
        close(fd);
        if (up >= 0) close(up);
        return;
    }
    set_no_delay(fd);
    set_no_delay(up);
    ends[0] = (struct end){.fd = fd, .other = &ends[1]};
    ends[1] = (struct end){.fd = up, .other = &ends[0], .connecting = true};
    if (connect(up, (const struct sockaddr *)target, sizeof *target) == 0) ends[1].connecting = false;
    else if (errno != EINPROGRESS) {
        close(fd);
        close(up);
        free(ends);
        return;
    }
    rewatch(&ends[0]);
    rewatch(&ends[1]);
}

/* Sends what waits. Returns false when the call is over. */
static bool send_late(struct end *end) {
    while (end->late_from < end->late_to) {
        ssize_t sent = send(end->fd, end->late + end->late_from, end->late_to - end->late_from, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN || errno == EINTR) return true;
            return false;
        }
        end->late_from += (size_t)sent;
    }
    free(end->late);
    end->late = NULL;
    end->late_from = end->late_to = 0;
    if (end->other->finished) shutdown(end->fd, SHUT_WR);
    return true;
}

/* Passes on what `end` has sent. Returns false when the call is over. */
static bool pass(struct end *end) {
    struct end *to = end->other;
    ssize_t came = recv(end->fd, chunk, sizeof chunk, 0);
    if (came < 0) return errno == EAGAIN || errno == EINTR;
    if (came == 0) {
        end->finished = true;
        shutdown(to->fd, SHUT_WR);
        return !to->finished;
    }
    ssize_t sent = send(to->fd, chunk, (size_t)came, MSG_NOSIGNAL);
    if (sent == came) return true;
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) return false;
        sent = 0;
    }
    to->late = malloc(CHUNK);
    if (!to->late) return false;
    to->late_from = 0;
    to->late_to = (size_t)(came - sent);
    memcpy(to->late, chunk + sent, to->late_to);
    return true;
}

static void serve(struct end *end, uint32_t events) {
    if (end->fd < 0) return;
    bool alive = true;
    if (end->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        alive = error == 0;
        end->connecting = false;
    } else {
        /* A broken or closed socket says so to whoever reads or writes it next. */
        bool gone = events & (EPOLLERR | EPOLLHUP);
        if (end->watched & EPOLLOUT && (gone || events & EPOLLOUT)) alive = send_late(end);
        if (alive && end->watched & EPOLLIN && (gone || events & EPOLLIN)) alive = pass(end);
    }
    if (!alive) {
        hang_up(end);
        return;
    }
    rewatch(end);
    rewatch(end->other);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN_PORT TARGET_PORT\n");
        return 2;
    }
    struct sockaddr_in own = loopback(atoi(argv[1])), target = loopback(atoi(argv[2]));
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&own, sizeof own)) die("bind");
    if (listen(listener, SOMAXCONN)) die("listen");
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) die("epoll_create1");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}; /* no end: somebody calls */
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event)) die("epoll_ctl");

    struct epoll_event ready[READY];
    for (;;) {
        int count = epoll_wait(poll_fd, ready, READY, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr) serve(ready[i].data.ptr, ready[i].events);
            else take_call(listener, &target);
        }
        while (ended_count > 0) {
            struct end *end = ended[--ended_count];
            free(end->late);
            free(end->other->late);
            free(end < end->other ? end : end->other);
        }
    }
}
