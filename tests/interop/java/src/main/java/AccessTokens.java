import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.MalformedURLException;
import java.net.URI;
import java.text.ParseException;
import java.time.Duration;
import java.util.Set;

/** Verifies the access tokens of one issuer for one audience. */
final class AccessTokens {
    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    /**
     * @param maxAge for how long a fetched key is trusted without asking again; five minutes is right
     * @param algorithm {@code JWSAlgorithm.RS256} unless the issuer was told to sign with another
     */
    AccessTokens(String issuer, String audience, Duration maxAge, JWSAlgorithm algorithm) throws MalformedURLException {
        long life = maxAge.toMillis();
        var url = URI.create(issuer + "/.well-known/jwks.json").toURL();
        // By default it waits half a second for an answer.
        var keys = JWKSourceBuilder.create(url, new DefaultResourceRetriever(5_000, 5_000, 100_000))
                .cache(life, Math.min(life / 2, 15_000))
                .refreshAheadCache(life / 10, true)
                .rateLimited(life / 10) // an unknown kid asks the issuer at most this often
                .retrying(true)
                .build();
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(algorithm, keys));
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(
                audience,
                new JWTClaimsSet.Builder().issuer(issuer).build(),
                Set.of("sub", "exp", "iat", "jti", "client_id"));
        claims.setMaxClockSkew(30);
        processor.setJWTClaimsSetVerifier(claims);
    }

    /** @return the claims of a token that counts */
    JWTClaimsSet verify(String token) throws ParseException, BadJOSEException, JOSEException {
        return processor.process(token, null);
    }
}
