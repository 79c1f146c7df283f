// The vendor's unmodified Go SDK: its sample for deleting a background task, rebuilt as a test. Prints one line a test.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	dcs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model"
)

var isFailed bool

func client(secret string) *dcs.DcsClient {
	credentials := basic.NewCredentialsBuilder().
		WithAk(os.Getenv("HUAWEICLOUD_SDK_AK")).
		WithSk(secret).
		WithProjectId(os.Getenv("HUAWEICLOUD_SDK_PROJECT_ID")).
		Build()
	return dcs.NewDcsClient(dcs.DcsClientBuilder().
		WithEndpoint(os.Getenv("STINT_ENDPOINT")).
		WithCredential(credentials).
		Build())
}

func tell(name string, why string) {
	if why == "" {
		fmt.Println("ok dcs-go." + name)
		return
	}
	isFailed = true
	fmt.Printf("FAILED dcs-go.%s: %s\n", name, why)
}

// What is wrong with a refusal; "" nothing.
func refused(err error, status int, code string) string {
	var answer *sdkerr.ServiceResponseError
	if err == nil {
		return "it was accepted"
	}
	if !errors.As(err, &answer) {
		return "no answer of the service: " + err.Error()
	}
	if answer.StatusCode != status || answer.ErrorCode != code || answer.ErrorMessage == "" ||
		answer.RequestId == "" {
		return err.Error()
	}
	return ""
}

func remove(c *dcs.DcsClient, task string) (*model.DeleteBackgroundTaskResponse, error) {
	return c.DeleteBackgroundTask(&model.DeleteBackgroundTaskRequest{
		InstanceId: os.Getenv("STINT_INSTANCE"), TaskId: task})
}

func lists(c *dcs.DcsClient) string {
	answer, err := c.ListBackgroundTask(&model.ListBackgroundTaskRequest{InstanceId: os.Getenv("STINT_INSTANCE")})
	if err != nil {
		return err.Error()
	}
	tasks := *answer.Tasks
	if *answer.TaskCount != "2" || len(tasks) != 2 || *tasks[0].Id != os.Getenv("STINT_TASK_WAITING") ||
		*tasks[1].Id != os.Getenv("STINT_TASK_ENDED") || *tasks[0].Details.NewCapacity != "0.25" {
		return fmt.Sprintf("unexpected list: %v", answer)
	}
	return ""
}

func shows(c *dcs.DcsClient) string {
	answer, err := c.ShowInstance(&model.ShowInstanceRequest{InstanceId: os.Getenv("STINT_INSTANCE")})
	if err != nil {
		return err.Error()
	}
	if *answer.Status != "RUNNING" || *answer.NoPasswordAccess != "false" || *answer.MaxMemory != 128 {
		return fmt.Sprintf("unexpected instance: %v", answer)
	}
	return ""
}

// A call with a body, which is signed like one without.
func flushes(c *dcs.DcsClient) string {
	action := "flush"
	body := &model.ChangeInstanceStatusBody{Instances: &[]string{os.Getenv("STINT_INSTANCE")}, Action: &action}
	answer, err := c.RestartOrFlushInstances(&model.RestartOrFlushInstancesRequest{Body: body})
	if err != nil {
		return err.Error()
	}
	results := *answer.Results
	if len(results) != 1 || *results[0].Result != "failed" { // its resize comes first
		return fmt.Sprintf("unexpected answer: %v", answer)
	}
	return ""
}

func main() {
	good, ended := client(os.Getenv("HUAWEICLOUD_SDK_SK")), os.Getenv("STINT_TASK_ENDED")

	tell("list", lists(good))
	tell("show_instance", shows(good))
	tell("flush", flushes(good))
	_, err := remove(client("wrong"), ended)
	tell("wrong_secret", refused(err, 401, "DCS.1001"))
	_, err = remove(good, "nonsense")
	tell("malformed_id", refused(err, 400, "DCS.4070"))
	_, err = remove(good, os.Getenv("STINT_TASK_WAITING"))
	tell("unfinished_task", refused(err, 400, "DCS.4017"))
	answer, err := remove(good, ended)
	switch {
	case err != nil:
		tell("delete", err.Error())
	case answer.HttpStatusCode != 200 || answer.Message == nil || strings.TrimSpace(*answer.Message) != "":
		tell("delete", fmt.Sprintf("unexpected answer: %v", answer))
	default:
		tell("delete", "")
	}
	_, err = remove(good, ended)
	tell("delete_again", refused(err, 404, "DCS.4133"))
	if isFailed {
		os.Exit(1)
	}
}
