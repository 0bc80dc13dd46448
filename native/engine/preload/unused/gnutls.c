// Stands in for libgnutls.so.30 in CRIU, which encrypts with it what it sends to a page server: no move of ours uses one. The real one
// brings nine libraries along, which are loaded, linked and made ready by each CRIU that is started, and copied by each process that it forks.
// Every function fails. A CRIU that wants other functions is started with the real library (criu_start.cc).

#include <stddef.h>
#include <stdlib.h>

/** In the real library, too, this is a variable. */
void (*gnutls_free)(void*) = free;

const char* gnutls_strerror(int error) {
  (void)error;
  return "no TLS in a move";
}

#define FAILS(name) \
  long name(void);  \
  long name(void) { return -1; }

FAILS(gnutls_bye)
FAILS(gnutls_certificate_allocate_credentials)
FAILS(gnutls_certificate_free_credentials)
FAILS(gnutls_certificate_send_x509_rdn_sequence)
FAILS(gnutls_certificate_server_set_request)
FAILS(gnutls_certificate_set_x509_crl_file)
FAILS(gnutls_certificate_set_x509_key_file)
FAILS(gnutls_certificate_set_x509_system_trust)
FAILS(gnutls_certificate_set_x509_trust_file)
FAILS(gnutls_certificate_type_get)
FAILS(gnutls_certificate_verification_status_print)
FAILS(gnutls_certificate_verify_peers3)
FAILS(gnutls_credentials_set)
FAILS(gnutls_deinit)
FAILS(gnutls_error_is_fatal)
FAILS(gnutls_handshake)
FAILS(gnutls_init)
FAILS(gnutls_packet_deinit)
FAILS(gnutls_packet_get)
FAILS(gnutls_record_check_pending)
FAILS(gnutls_record_recv)
FAILS(gnutls_record_recv_packet)
FAILS(gnutls_record_send)
FAILS(gnutls_set_default_priority)
FAILS(gnutls_transport_set_ptr)
FAILS(gnutls_transport_set_pull_function)
FAILS(gnutls_transport_set_push_function)
