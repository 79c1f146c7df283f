#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include "base/hex.h"
#include "base/mem.h"
#include "base/must.h"
#include "cache/cache_priv.h"
#include "os/calls.h"
#include "os/file.h"

enum { PART_SIZE = 1 << 18 };

/* Everything that comes out of in, into out and the hash. */
static enum rc pump(const struct op *op, int in, int out, const char *to, char part[PART_SIZE], EVP_MD_CTX *hash,
                    int64_t *size, struct err *err)
{
	for (;;) {
		enum rc rc = op_check(op, err);
		if (rc != RC_OK)
			return rc;
		ssize_t n = os.read(in, part, PART_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, RC_IO, errno, "cannot read what goes to '%.300s'", to);
		if (n == 0)
			return RC_OK;
		must(EVP_DigestUpdate(hash, part, (size_t)n) == 1);
		*size += n;
		rc = file_put(out, to, part, (size_t)n, err);
		if (rc != RC_OK)
			return rc;
	}
}

static void finish_hash(EVP_MD_CTX *hash, char out[CACHE_HASH_SIZE])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	must(EVP_DigestFinal_ex(hash, bytes, &n) == 1);
	must(n == 32);
	hex_of(bytes, n, out);
}

static enum rc copy_open(const struct op *op, int in, const char *temp, char sha256[CACHE_HASH_SIZE], int64_t *size,
                         struct err *err)
{
	(void)os.unlink(temp); /* mostly absent: what a crash left */
	int out = os.open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(err, errno == ENOSPC ? RC_BUSY : RC_IO, errno, "cannot create '%.300s'", temp);
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	must(hash);
	must(EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
	char *part = mem_array(PART_SIZE, 1);
	enum rc rc = pump(op, in, out, temp, part, hash, size, err);
	mem_free(part);
	finish_hash(hash, sha256);
	EVP_MD_CTX_free(hash);
	if (os.close(out) != 0 && rc == RC_OK)
		rc = err_sys(err, RC_IO, errno, "cannot close '%.300s'", temp);
	return rc;
}

enum rc copy_file(const struct op *op, const char *from, const char *to, char sha256[CACHE_HASH_SIZE], int64_t *size,
                  struct err *err)
{
	char temp[PATH_MAX];
	int len = snprintf(temp, sizeof temp, "%s.part", to);

	*size = 0;
	if (len < 0 || len >= PATH_MAX)
		return err_set(err, RC_LIMIT, "path too long: '%.200s'", to);
	/* A file that is replaced meanwhile stays whole behind this descriptor. */
	int in = os.open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (in < 0)
		return err_sys(err, errno == ENOENT ? RC_NOT_FOUND : RC_IO, errno, "cannot open '%.300s'", from);
	enum rc rc = copy_open(op, in, temp, sha256, size, err);
	(void)os.close(in); /* opened for reading: nothing to lose */
	act_done();
	if (rc == RC_OK)
		rc = file_publish(temp, to, err);
	act_done();
	if (rc != RC_OK)
		(void)os.unlink(temp); /* the first failure is the one to report */
	return rc;
}
