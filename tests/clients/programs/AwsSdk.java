// The AWS SDK for Java 2, with keys and without. It sends `x-amz-te: append-md5` with every GetObject. The URLs that it
// presigns are used by java.net.http.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.AnonymousCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

public class AwsSdk {
    static final String BUCKET = "tmp";
    static final String PREFIX = System.getenv("PREFIX");
    static final URI ENDPOINT = URI.create(System.getenv("ENDPOINT"));
    static final Path GOT = Path.of(System.getenv("GOT"));
    static final S3Configuration PATH_STYLE = S3Configuration.builder().pathStyleAccessEnabled(true).build();

    public static void main(String[] arguments) throws Exception {
        String key = System.getenv("AWS_ACCESS_KEY_ID");
        String secret = key == null ? "any" : System.getenv("AWS_SECRET_ACCESS_KEY");
        AwsCredentialsProvider any =
                StaticCredentialsProvider.create(AwsBasicCredentials.create(key == null ? "any" : key, secret));
        // A listener that demands a key refuses requests without one.
        List<AwsCredentialsProvider> all =
                key == null ? List.of(AnonymousCredentialsProvider.create(), any) : List.of(any);
        for (AwsCredentialsProvider keys : all) {
            S3Client client = S3Client.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1)
                    .credentialsProvider(keys).serviceConfiguration(PATH_STYLE).build();
            objects(client);
            parts(client);
            lists(client);
        }
        presigned(any);
        System.out.println("done");
    }

    static void objects(S3Client client) throws Exception {
        Path small = Path.of(System.getenv("SMALL"));
        client.putObject(put -> put.bucket(BUCKET).key(PREFIX + "small").metadata(Map.of("a", "b")), small);
        var got = client.getObjectAsBytes(get -> get.bucket(BUCKET).key(PREFIX + "small"));
        check(got.response().metadata().equals(Map.of("a", "b")), "metadata");
        Files.write(GOT.resolve("small"), got.asByteArray());
        var range = client.getObjectAsBytes(get -> get.bucket(BUCKET).key(PREFIX + "small").range("bytes=2-4"));
        check(Arrays.equals(range.asByteArray(), Arrays.copyOfRange(got.asByteArray(), 2, 5)), "range");
        try {
            client.getObject(get -> get.bucket(BUCKET).key(PREFIX + "none"));
            throw new AssertionError("GetObject succeeded for an object that does not exist");
        } catch (NoSuchKeyException expected) {
        }
    }

    static void parts(S3Client client) throws Exception {
        byte[] content = Files.readAllBytes(Path.of(System.getenv("MEDIUM")));
        String key = PREFIX + "medium";
        String id = client.createMultipartUpload(begin -> begin.bucket(BUCKET).key(key)).uploadId();
        List<CompletedPart> parts = new ArrayList<>();
        for (int start = 0; start < content.length; start += 5 << 20) {
            byte[] part = Arrays.copyOfRange(content, start, Math.min(content.length, start + (5 << 20)));
            int number = parts.size() + 1;
            var sent = client.uploadPart(put -> put.bucket(BUCKET).key(key).uploadId(id).partNumber(number),
                    RequestBody.fromBytes(part));
            parts.add(CompletedPart.builder().partNumber(number).eTag(sent.eTag()).build());
        }
        client.completeMultipartUpload(
                end -> end.bucket(BUCKET).key(key).uploadId(id).multipartUpload(all -> all.parts(parts)));
        Files.write(GOT.resolve("medium"), client.getObjectAsBytes(get -> get.bucket(BUCKET).key(key)).asByteArray());
    }

    static void lists(S3Client client) {
        client.copyObject(copy -> copy.copySource(BUCKET + "/" + PREFIX + "small").destinationBucket(BUCKET)
                .destinationKey(PREFIX + "copy é"));
        List<String> found = new ArrayList<>();
        for (S3Object object : client.listObjectsV2Paginator(
                list -> list.bucket(BUCKET).prefix(PREFIX).maxKeys(2)).contents()) {
            found.add(object.key().substring(PREFIX.length()));
        }
        check(found.containsAll(List.of("copy é", "medium", "small")), "list: " + found);
        check(client.listBuckets().buckets().get(0).name().equals(BUCKET), "buckets");
        client.headBucket(head -> head.bucket(BUCKET));
        client.deleteObjects(delete -> delete.bucket(BUCKET)
                .delete(which -> which.objects(ObjectIdentifier.builder().key(PREFIX + "copy é").build())));
    }

    static void presigned(AwsCredentialsProvider keys) throws Exception {
        S3Presigner presigner = S3Presigner.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1)
                .credentialsProvider(keys).serviceConfiguration(PATH_STYLE).build();
        HttpClient client = HttpClient.newHttpClient();
        String key = PREFIX + "presigned";
        var put = presigner.presignPutObject(sign -> sign.signatureDuration(Duration.ofMinutes(5))
                .putObjectRequest(request -> request.bucket(BUCKET).key(key)));
        var sent = client.send(HttpRequest.newBuilder(put.url().toURI())
                .PUT(HttpRequest.BodyPublishers.ofString("presigned")).build(), HttpResponse.BodyHandlers.ofString());
        check(sent.statusCode() == 200, "PUT: " + sent.body());
        var get = presigner.presignGetObject(sign -> sign.signatureDuration(Duration.ofMinutes(5))
                .getObjectRequest(request -> request.bucket(BUCKET).key(key).responseContentType("text/plain")));
        // Old versions sign the header `x-amz-te`, so it must be sent with the URL.
        var download = HttpRequest.newBuilder(get.url().toURI());
        get.signedHeaders().forEach((name, values) -> {
            if (!name.equalsIgnoreCase("host")) {
                values.forEach(value -> download.header(name, value));
            }
        });
        var got = client.send(download.build(), HttpResponse.BodyHandlers.ofString());
        check(got.statusCode() == 200 && got.body().equals("presigned"), "GET: " + got.body());
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
