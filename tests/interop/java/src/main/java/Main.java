import com.nimbusds.jose.JWSAlgorithm;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;

/** A token per line in; {@code ok SUBJECT} or {@code refused REASON} per line out. The environment says the rest. */
final class Main {
    public static void main(String[] arguments) throws Exception {
        var maxAge = Duration.ofSeconds(Long.parseLong(System.getenv("JWKS_MAX_AGE")));
        var algorithm = JWSAlgorithm.parse(System.getenv("ALGORITHM"));
        var tokens = new AccessTokens(System.getenv("ISSUER"), System.getenv("AUDIENCE"), maxAge, algorithm);
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (var token = lines.readLine(); token != null; token = lines.readLine()) {
            try {
                System.out.println("ok " + tokens.verify(token).getSubject());
            } catch (Exception refusal) {
                System.out.println("refused " + refusal.toString().replaceAll("\\s+", " "));
            }
        }
    }
}
