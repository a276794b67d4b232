package withkeyfunc

import (
	"context"
	"errors"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// Claims are those of RFC 9068.
type Claims struct {
	jwt.RegisteredClaims
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Roles    []string `json:"roles"`
}

// Validate is called by the parser after its own checks.
func (c *Claims) Validate() error {
	if c.Subject == "" || c.ID == "" || c.ClientID == "" || c.IssuedAt == nil {
		return errors.New("a claim that RFC 9068 requires is missing")
	}
	return nil
}

// Verifier takes access tokens of one issuer for one audience.
type Verifier struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

// New fetches the keys, and again every maxAge (five minutes is right) until ctx ends. algorithm is "RS256" unless the
// issuer was told to sign with another.
func New(ctx context.Context, issuer, audience string, maxAge time.Duration, algorithm string) (*Verifier, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{issuer + "/.well-known/jwks.json"}, keyfunc.Override{
		RefreshInterval: maxAge,
		// An unknown kid asks the issuer at most ten times as often; this long it waits for its turn and the answer.
		RefreshUnknownKID: rate.NewLimiter(rate.Every(maxAge/10), 1),
		RateLimitWaitMax:  5 * time.Second,
		HTTPTimeout:       5 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(30*time.Second),
	)
	return &Verifier{keys, parser}, nil
}

// Verify answers the claims of a token that counts.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	claims := new(Claims)
	parsed, err := v.parser.ParseWithClaims(token, claims, v.keys.KeyfuncCtx(ctx))
	if err != nil {
		return nil, err
	}
	if parsed.Header["typ"] != "at+jwt" { // RFC 9068 section 4
		return nil, errors.New("not an access token")
	}
	return claims, nil
}
