// The vendor's unmodified Java SDK: its sample for deleting a background task, rebuilt as a test. Prints one line a
// test.
import com.huaweicloud.sdk.core.auth.BasicCredentials;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.dcs.v2.DcsClient;
import com.huaweicloud.sdk.dcs.v2.model.DeleteBackgroundTaskRequest;
import com.huaweicloud.sdk.dcs.v2.model.DeleteBackgroundTaskResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListBackgroundTaskRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackgroundTaskResponse;
import com.huaweicloud.sdk.dcs.v2.model.ShowInstanceRequest;
import com.huaweicloud.sdk.dcs.v2.model.ShowInstanceResponse;

public class SdkTest {
    private static boolean isFailed;

    private interface Test {
        void run() throws Exception;
    }

    private static DcsClient client(String secret) {
        return DcsClient.newBuilder()
            .withCredential(new BasicCredentials()
                .withAk(System.getenv("HUAWEICLOUD_SDK_AK"))
                .withSk(secret)
                .withProjectId(System.getenv("HUAWEICLOUD_SDK_PROJECT_ID")))
            .withEndpoint(System.getenv("STINT_ENDPOINT"))
            .build();
    }

    private static DeleteBackgroundTaskResponse delete(DcsClient client, String task) {
        return client.deleteBackgroundTask(new DeleteBackgroundTaskRequest()
            .withInstanceId(System.getenv("STINT_INSTANCE"))
            .withTaskId(task));
    }

    private static void expect(boolean claim, Object what) {
        if (!claim) {
            throw new IllegalStateException(String.valueOf(what));
        }
    }

    private static void refused(int status, String code, Test call) throws Exception {
        try {
            call.run();
        } catch (ServiceResponseException e) {
            expect(e.getHttpStatusCode() == status && code.equals(e.getErrorCode()) && !e.getErrorMsg().isEmpty()
                && e.getRequestId() != null, e);
            return;
        }
        throw new IllegalStateException("it was accepted");
    }

    private static void test(String name, Test test) {
        try {
            test.run();
            System.out.println("ok dcs-java." + name);
        } catch (Exception e) {
            isFailed = true;
            System.out.println("FAILED dcs-java." + name + ": " + e);
        }
    }

    public static void main(String[] args) {
        DcsClient client = client(System.getenv("HUAWEICLOUD_SDK_SK"));
        String ended = System.getenv("STINT_TASK_ENDED");
        String waiting = System.getenv("STINT_TASK_WAITING");

        test("list", () -> {
            ListBackgroundTaskResponse list = client.listBackgroundTask(
                new ListBackgroundTaskRequest().withInstanceId(System.getenv("STINT_INSTANCE")));
            expect("2".equals(list.getTaskCount()) && list.getTasks().size() == 2, list);
            expect(list.getTasks().get(0).getId().equals(waiting), list);
            expect("0.25".equals(list.getTasks().get(0).getDetails().getNewCapacity()), list);
        });
        test("show_instance", () -> {
            ShowInstanceResponse shown = client.showInstance(
                new ShowInstanceRequest().withInstanceId(System.getenv("STINT_INSTANCE")));
            expect("RUNNING".equals(shown.getStatus()) && "false".equals(shown.getNoPasswordAccess())
                && shown.getMaxMemory() == 128, shown);
        });
        test("wrong_secret", () -> refused(401, "DCS.1001", () -> delete(client("wrong"), ended)));
        test("malformed_id", () -> refused(400, "DCS.4070", () -> delete(client, "nonsense")));
        test("unfinished_task", () -> refused(400, "DCS.4017", () -> delete(client, waiting)));
        test("delete", () -> {
            DeleteBackgroundTaskResponse answer = delete(client, ended);
            expect(answer.getHttpStatusCode() == 200 && "".equals(answer.getMessage()), answer);
        });
        test("delete_again", () -> refused(404, "DCS.4133", () -> delete(client, ended)));
        System.exit(isFailed ? 1 : 0);
    }
}
