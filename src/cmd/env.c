/* env: settings and first lines for the vendor's SDKs, ready to paste. */
#include <stdio.h>
#include <string.h>
#include "cmd/client.h"
#include "cmd/say.h"

/* In the templates @E is the endpoint's host and port, @P its protocol, @U the URL, @K the key id, @S the secret, @J
 * the project. */
static const char shell_text[] = "export STINT_ENDPOINT='@U'\n"
                                 "export ALIBABA_CLOUD_ACCESS_KEY_ID='@K'\n"
                                 "export ALIBABA_CLOUD_ACCESS_KEY_SECRET='@S'\n";

static const char python_text[] = "# pip install alibabacloud-opensearch20171225\n"
                                  "from alibabacloud_opensearch20171225 import models\n"
                                  "from alibabacloud_opensearch20171225.client import Client\n"
                                  "from alibabacloud_tea_openapi.models import Config\n"
                                  "\n"
                                  "client = Client(Config(\n"
                                  "    access_key_id='@K',\n"
                                  "    access_key_secret='@S',\n"
                                  "    endpoint='@E',\n"
                                  "    protocol='@P',\n"
                                  "))\n"
                                  "request = models.ListAppGroupsRequest(page_number=1, page_size=10)\n"
                                  "for group in client.list_app_groups(request).body.result:\n"
                                  "    print(group.name, group.status)\n";

static const char node_text[] =
        "// npm install @alicloud/opensearch20171225\n"
        "const { default: Client, ListAppGroupsRequest } = require('@alicloud/opensearch20171225');\n"
        "const { $OpenApiUtil } = require('@alicloud/openapi-core');\n"
        "\n"
        "const client = new Client(new $OpenApiUtil.Config({\n"
        "  accessKeyId: '@K',\n"
        "  accessKeySecret: '@S',\n"
        "  endpoint: '@E',\n"
        "  protocol: '@P',\n"
        "}));\n"
        "client.listAppGroups(new ListAppGroupsRequest({ pageNumber: 1, pageSize: 10 }))\n"
        "  .then((answer) => answer.body.result.forEach((group) => console.log(group.name, group.status)));\n";

static const char java_text[] =
        "// Maven: com.aliyun:opensearch20171225\n"
        "import com.aliyun.opensearch20171225.Client;\n"
        "import com.aliyun.opensearch20171225.models.ListAppGroupsRequest;\n"
        "import com.aliyun.teaopenapi.models.Config;\n"
        "\n"
        "public class First {\n"
        "    public static void main(String[] args) throws Exception {\n"
        "        Client client = new Client(new Config()\n"
        "            .setAccessKeyId(\"@K\")\n"
        "            .setAccessKeySecret(\"@S\")\n"
        "            .setEndpoint(\"@E\")\n"
        "            .setProtocol(\"@P\"));\n"
        "        ListAppGroupsRequest request = new ListAppGroupsRequest().setPageNumber(1).setPageSize(10);\n"
        "        client.listAppGroups(request).getBody().getResult()\n"
        "            .forEach(group -> System.out.println(group.getName() + \" \" + group.getStatus()));\n"
        "    }\n"
        "}\n";

static const char go_text[] = "// go get github.com/alibabacloud-go/opensearch-20171225/v4\n"
                              "package main\n"
                              "\n"
                              "import (\n"
                              "\t\"fmt\"\n"
                              "\n"
                              "\topenapi \"github.com/alibabacloud-go/darabonba-openapi/v2/client\"\n"
                              "\topensearch \"github.com/alibabacloud-go/opensearch-20171225/v4/client\"\n"
                              "\t\"github.com/alibabacloud-go/tea/tea\"\n"
                              ")\n"
                              "\n"
                              "func main() {\n"
                              "\tclient, err := opensearch.NewClient(&openapi.Config{\n"
                              "\t\tAccessKeyId:     tea.String(\"@K\"),\n"
                              "\t\tAccessKeySecret: tea.String(\"@S\"),\n"
                              "\t\tEndpoint:        tea.String(\"@E\"),\n"
                              "\t\tProtocol:        tea.String(\"@P\"),\n"
                              "\t})\n"
                              "\tif err != nil {\n"
                              "\t\tpanic(err)\n"
                              "\t}\n"
                              "\tanswer, err := client.ListAppGroups(&opensearch.ListAppGroupsRequest{})\n"
                              "\tif err != nil {\n"
                              "\t\tpanic(err)\n"
                              "\t}\n"
                              "\tfor _, group := range answer.Body.Result {\n"
                              "\t\tfmt.Println(tea.StringValue(group.Name), tea.StringValue(group.Status))\n"
                              "\t}\n"
                              "}\n";

static const char dcs_shell_text[] = "export STINT_ENDPOINT='@U'\n"
                                     "export HUAWEICLOUD_SDK_AK='@K'\n"
                                     "export HUAWEICLOUD_SDK_SK='@S'\n"
                                     "export HUAWEICLOUD_SDK_PROJECT_ID='@J'\n";

static const char dcs_python_text[] = "# pip install huaweicloudsdkdcs\n"
                                      "from huaweicloudsdkcore.auth.credentials import BasicCredentials\n"
                                      "from huaweicloudsdkdcs.v2 import DcsClient, ListInstancesRequest\n"
                                      "\n"
                                      "credentials = BasicCredentials('@K', '@S', '@J')\n"
                                      "client = DcsClient.new_builder().with_credentials(credentials)"
                                      ".with_endpoint('@U').build()\n"
                                      "for instance in client.list_instances(ListInstancesRequest()).instances:\n"
                                      "    print(instance.name, instance.status, instance.ip, instance.port)\n";

static const char dcs_java_text[] =
        "// Maven: com.huaweicloud.sdk:huaweicloud-sdk-dcs\n"
        "import com.huaweicloud.sdk.core.auth.BasicCredentials;\n"
        "import com.huaweicloud.sdk.dcs.v2.DcsClient;\n"
        "import com.huaweicloud.sdk.dcs.v2.model.ListInstancesRequest;\n"
        "\n"
        "public class First {\n"
        "    public static void main(String[] args) {\n"
        "        DcsClient client = DcsClient.newBuilder()\n"
        "            .withCredential(new BasicCredentials()\n"
        "                .withAk(\"@K\")\n"
        "                .withSk(\"@S\")\n"
        "                .withProjectId(\"@J\"))\n"
        "            .withEndpoint(\"@U\")\n"
        "            .build();\n"
        "        client.listInstances(new ListInstancesRequest()).getInstances()\n"
        "            .forEach(i -> System.out.println(i.getName() + \" \" + i.getStatus()));\n"
        "    }\n"
        "}\n";

static const char dcs_go_text[] = "// go get github.com/huaweicloud/huaweicloud-sdk-go-v3\n"
                                  "package main\n"
                                  "\n"
                                  "import (\n"
                                  "\t\"fmt\"\n"
                                  "\n"
                                  "\t\"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic\"\n"
                                  "\tdcs \"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2\"\n"
                                  "\t\"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model\"\n"
                                  ")\n"
                                  "\n"
                                  "func main() {\n"
                                  "\tcredentials := basic.NewCredentialsBuilder().\n"
                                  "\t\tWithAk(\"@K\").\n"
                                  "\t\tWithSk(\"@S\").\n"
                                  "\t\tWithProjectId(\"@J\").\n"
                                  "\t\tBuild()\n"
                                  "\tclient := dcs.NewDcsClient(dcs.DcsClientBuilder().WithEndpoint(\"@U\").\n"
                                  "\t\tWithCredential(credentials).Build())\n"
                                  "\tanswer, err := client.ListInstances(&model.ListInstancesRequest{})\n"
                                  "\tif err != nil {\n"
                                  "\t\tpanic(err)\n"
                                  "\t}\n"
                                  "\tfor _, i := range *answer.Instances {\n"
                                  "\t\tfmt.Println(*i.Name, *i.Status)\n"
                                  "\t}\n"
                                  "}\n";

static const struct {
	const char *name, *text;
	enum cloud cloud;
} languages[] = {
	{ "shell", shell_text, CLOUD_OPENSEARCH },   { "python", python_text, CLOUD_OPENSEARCH },
	{ "node", node_text, CLOUD_OPENSEARCH },     { "java", java_text, CLOUD_OPENSEARCH },
	{ "go", go_text, CLOUD_OPENSEARCH },         { "dcs-shell", dcs_shell_text, CLOUD_DCS },
	{ "dcs-python", dcs_python_text, CLOUD_DCS }, { "dcs-java", dcs_java_text, CLOUD_DCS },
	{ "dcs-go", dcs_go_text, CLOUD_DCS },
};

/* A URL without the colon and slashes of its scheme: "http", "127.0.0.1:8080". */
struct place {
	struct access access;
	const char *host, *url;
	char protocol[8];
};

static void place_of(const struct access *access, struct arena *a, struct place *out)
{
	const char *url = access->endpoint, *sep = strstr(url, "://");

	out->access = *access;
	out->host = sep ? sep + 3 : url;
	out->url = sep ? url : arena_printf(a, "http://%s", url);
	(void)snprintf(out->protocol, sizeof out->protocol, "%s", strncmp(url, "https:", 6) == 0 ? "https" : "http");
}

static void expand(const char *text, const struct place *p, struct buf *out)
{
	for (; *text; text++) {
		const char *value = NULL;
		if (text[0] == '@') {
			switch (text[1]) {
			case 'E':
				value = p->host;
				break;
			case 'P':
				value = p->protocol;
				break;
			case 'U':
				value = p->url;
				break;
			case 'K':
				value = p->access.key_id;
				break;
			case 'S':
				value = p->access.key_secret;
				break;
			case 'J':
				value = p->access.project_id;
				break;
			default:
				break; /* the '@' of a package's name */
			}
		}
		if (value) {
			buf_adds(out, value);
			text++;
		} else {
			buf_addc(out, *text);
		}
	}
}

static void print_json(const struct place *p, struct buf *out)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_object(&w);
	jw_kv_text(&w, "url", p->url);
	jw_kv_text(&w, "endpoint", p->host);
	jw_kv_text(&w, "protocol", p->protocol);
	jw_kv_text(&w, "access_key_id", p->access.key_id);
	jw_kv_text(&w, "access_key_secret", p->access.key_secret);
	if (*p->access.project_id)
		jw_kv_text(&w, "project_id", p->access.project_id);
	jw_end_object(&w);
}

/* All of one cloud, or only one. */
static void print_texts(const struct place *p, enum cloud cloud, const char *only, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
		if (languages[i].cloud != cloud || (only && strcmp(only, languages[i].name) != 0))
			continue;
		if (!only)
			buf_addf(out, "%s---- %s ----\n", out->len ? "\n" : "", languages[i].name);
		expand(languages[i].text, p, out);
	}
}

static enum rc print_cloud(struct client_options *o, enum cloud cloud, const char *only, struct arena *a,
                           struct buf *out, struct err *err)
{
	struct access access;
	struct place place;

	o->cloud = cloud;
	enum rc rc = client_access(o, a, &access, err);
	if (rc != RC_OK)
		return rc;
	place_of(&access, a, &place);
	if (o->as_json)
		print_json(&place, out);
	else
		print_texts(&place, cloud, only, out);
	return RC_OK;
}

/* The key as ever, and its project when it can be known. */
static enum rc print_key(struct client_options *o, struct arena *a, struct buf *out, struct err *err)
{
	struct access access;

	enum rc rc = client_access(o, a, &access, err);
	if (rc != RC_OK)
		return rc;
	o->endpoint = access.endpoint;
	o->key_id = access.key_id;
	o->key_secret = access.key_secret;
	if (print_cloud(o, CLOUD_DCS, NULL, a, out, NULL) == RC_OK)
		return RC_OK;
	return print_cloud(o, CLOUD_OPENSEARCH, NULL, a, out, err);
}

/* Without a word both clouds; the second one only as far as its project is known. */
static enum rc print_settings(struct client_options *o, const char *word, struct arena *a, struct buf *out,
                              struct err *err)
{
	for (size_t i = 0; word && i < ARRAY_LEN(languages); i++) {
		if (strcmp(word, languages[i].name) == 0)
			return print_cloud(o, languages[i].cloud, word, a, out, err);
	}
	if (word)
		return err_set(err, RC_INVALID,
		        "'%.40s' is none of shell, python, node, java, go, dcs-shell, dcs-python, dcs-java, dcs-go",
		        word);
	if (o->as_json)
		return print_key(o, a, out, err);
	enum rc rc = print_cloud(o, CLOUD_OPENSEARCH, NULL, a, out, err);
	if (rc == RC_OK)
		(void)print_cloud(o, CLOUD_DCS, NULL, a, out, NULL);
	return rc;
}

static int run_env(const struct command *c, int argc, char **argv)
{
	const char *operands[OPERANDS_MAX];
	struct client_options options = { 0 };
	struct opt opts[] = {
		CLIENT_PLACE_OPTIONS(options),
		OPTION_FLAG("json", &options.as_json, "Print endpoint and key as JSON."),
	};
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	struct arena *a = arena_new(1 << 20);
	buf_init(&out, 1 << 20);
	enum rc rc = print_settings(&options, operands[0], a, &out, &err);
	code = say_result(c, rc, &err, &out);
	arena_free(a);
	return code;
}

const struct command command_env = {
	.name = "env",
	.operands = "[LANGUAGE]",
	.summary =
	        "Print SDK settings to paste: shell, python, node, java, go; for DCS dcs-shell, dcs-python, dcs-java,"
	        " dcs-go.",
	.example = "stint env python --data ./stint-data\neval \"$(stint env shell --data ./stint-data)\"",
	.run = run_env,
};
