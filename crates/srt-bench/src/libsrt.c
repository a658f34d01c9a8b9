/* A libsrt listener that takes every caller, reads every message and throws it away (or writes it to a file).
 *
 *   libsrt TSBPD(0|1) LATENCY_MS [FILE]
 *
 * It speaks as every other part of the benchmark: "ready PORT" first, then one line of counters for each line read,
 * and it ends with its standard input. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>
#include <srt/srt.h>

enum { EVENTS = 512 };

static atomic_ullong bytes, packets, connections, closed;
static FILE *file;

static void *answer(void *unused)
{
    char line[256];
    (void)unused;
    while (fgets(line, sizeof line, stdin)) {
        printf("bytes=%llu packets=%llu connections=%llu closed=%llu\n", atomic_load(&bytes), atomic_load(&packets),
               atomic_load(&connections), atomic_load(&closed));
        fflush(stdout);
    }
    if (file)
        fflush(file);
    _exit(0);
}

static void check(int result, const char *what)
{
    if (result != SRT_ERROR)
        return;
    fprintf(stderr, "libsrt: %s: %s\n", what, srt_getlasterror_str());
    exit(1);
}

static void take(int events, SRTSOCKET listener)
{
    SRTSOCKET peer;
    int wanted = SRT_EPOLL_IN | SRT_EPOLL_ERR;
    while ((peer = srt_accept(listener, NULL, NULL)) != SRT_INVALID_SOCK) {
        srt_epoll_add_usock(events, peer, &wanted);
        atomic_fetch_add(&connections, 1);
    }
}

static void empty(int events, SRTSOCKET peer)
{
    char message[2048];
    int got;
    while ((got = srt_recvmsg(peer, message, sizeof message)) > 0) {
        atomic_fetch_add(&bytes, got);
        atomic_fetch_add(&packets, 1);
        if (file)
            fwrite(message, 1, got, file);
    }
    if (srt_getsockstate(peer) > SRTS_CONNECTED) {
        srt_epoll_remove_usock(events, peer);
        srt_close(peer);
        atomic_fetch_add(&closed, 1);
    }
}

int main(int count, char **args)
{
    int latency = count > 2 ? atoi(args[2]) : 120, wanted = SRT_EPOLL_IN | SRT_EPOLL_ERR, size;
    bool tsbpd = count > 1 && atoi(args[1]), no = false;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    SRT_EPOLL_EVENT ready[EVENTS];
    pthread_t answering;

    if (count > 3 && !(file = fopen(args[3], "wb")))
        return 1;
    srt_startup();
    SRTSOCKET listener = srt_create_socket();
    check(srt_setsockflag(listener, SRTO_TSBPDMODE, &tsbpd, sizeof tsbpd), "TSBPDMODE");
    check(srt_setsockflag(listener, SRTO_RCVLATENCY, &latency, sizeof latency), "RCVLATENCY");
    check(srt_setsockflag(listener, SRTO_RCVSYN, &no, sizeof no), "RCVSYN");
    check(srt_bind(listener, (struct sockaddr *)&addr, sizeof addr), "bind");
    check(srt_listen(listener, 1024), "listen");
    size = sizeof addr;
    check(srt_getsockname(listener, (struct sockaddr *)&addr, &size), "getsockname");
    int events = srt_epoll_create();
    check(srt_epoll_add_usock(events, listener, &wanted), "epoll");
    printf("ready %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    pthread_create(&answering, NULL, answer, NULL);
    for (;;) {
        int n = srt_epoll_uwait(events, ready, EVENTS, 1000);
        for (int i = 0; i < n && i < EVENTS; i++) {
            if (ready[i].fd == listener)
                take(events, listener);
            else
                empty(events, ready[i].fd);
        }
    }
}
