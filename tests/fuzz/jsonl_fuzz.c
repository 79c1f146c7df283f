/*
 * A JSON object a line: what holds of rows in any format (rows.h); and the format is told by the content.
 */
#include "fuzz.h"
#include "rows.h"
#include "train/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_file f;
	struct err err = { 0 };
	enum train_format format = FORMAT_AUTO;

	rows_check(FORMAT_JSONL, data, size);
	fuzz_file_open(&f, data, size);
	enum rc rc = reader_format(f.path, &format, &err);
	if (rc != RC_OK)
		fuzz_check_refusal(rc, &err);
	CHECK((rc == RC_OK) == (format != FORMAT_AUTO), "%s and format %d", rc_name(rc), (int)format);
	if (rc == RC_OK && size > 1 && data[0] == '{' && data[1] == '"')
		CHECK(format == FORMAT_JSONL, "told as %s", format_word(format));
	fuzz_file_close(&f);
	return 0;
}
