#include "http/http_priv.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static enum rc tls_error(struct err *err, const char *what, const char *path)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return err_set(err, RC_INVALID, "TLS: %s '%s': %s", what, path, reason ? reason : "unknown reason");
}

static enum rc tls_load(SSL_CTX *ctx, const char *cert, const char *key, struct err *err)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return tls_error(err, "cannot use certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return tls_error(err, "cannot use private key", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_error(err, "the certificate does not belong to key", key);
	return RC_OK;
}

/* No ALPN callback is set, so a client that offers h2 is told nothing and stays with HTTP/1.1. */
enum rc tls_new(const char *cert, const char *key, SSL_CTX **out, struct err *err)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(ctx);
		return tls_error(err, "cannot set up for", cert);
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	enum rc rc = tls_load(ctx, cert, key, err);
	if (rc != RC_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out = ctx;
	return RC_OK;
}
