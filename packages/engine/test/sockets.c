// Has sockets open that preflight looks at, one kind for each word that it is given, then writes its pid to /tmp/sockets.pid and waits.
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd >= 0 && listen(fd, 8) == 0 ? fd : -1;
}

static int opened(const char *kind) {
  if (strcmp(kind, "udp") == 0) return socket(AF_INET6, SOCK_DGRAM, 0);
  if (strcmp(kind, "raw") == 0) return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (strcmp(kind, "ping") == 0) return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  if (strcmp(kind, "unix") == 0) return socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (strcmp(kind, "netlink") == 0) return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (strcmp(kind, "listener") == 0) return listener();
  if (strcmp(kind, "waiting") == 0) {
    struct sockaddr_in at;
    socklen_t length = sizeof at;
    int fd = listener(), client = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && getsockname(fd, (struct sockaddr *)&at, &length) == 0 && connect(client, (struct sockaddr *)&at, length) == 0 ? fd : -1;
  }
  if (strcmp(kind, "unread") == 0) {
    struct {
      struct nlmsghdr header;
      struct rtgenmsg message;
    } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    return send(fd, &request, sizeof request, 0) == sizeof request ? fd : -1;
  }
  return -1;
}

int main(int count, char **kinds) {
  for (int i = 1; i < count; i++)
    if (opened(kinds[i]) < 0) return perror(kinds[i]), 1;
  FILE *file = fopen("/tmp/sockets.pid", "w");
  fprintf(file, "%d\n", getpid());
  fclose(file);
  pause();
}
