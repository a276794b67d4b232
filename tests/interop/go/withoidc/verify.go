package withoidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Claims are those of RFC 9068.
type Claims struct {
	Subject  string   `json:"sub"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Roles    []string `json:"roles"`
}

// Verifier takes access tokens of one issuer for one audience.
type Verifier struct {
	verifier *oidc.IDTokenVerifier
}

// New trusts a key it fetched for maxAge (five minutes is right). algorithm is oidc.RS256 unless the issuer was told to
// sign with another. ctx is that of the fetches.
func New(ctx context.Context, issuer, audience string, maxAge time.Duration, algorithm string) *Verifier {
	keys := &keys{fresh: func() oidc.KeySet {
		return oidc.NewRemoteKeySet(ctx, issuer+"/.well-known/jwks.json")
	}, maxAge: maxAge}
	config := &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{algorithm}}
	return &Verifier{oidc.NewVerifier(issuer, keys, config)}
}

// Verify answers the claims of a token that counts.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	verified, err := v.verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	claims := new(Claims)
	if err := verified.Claims(claims); err != nil {
		return nil, err
	}
	if claims.Subject == "" || claims.ID == "" || claims.ClientID == "" || claims.IssuedAt == 0 {
		return nil, errors.New("a claim that RFC 9068 requires is missing")
	}
	// The library does not look at typ: an ID token for the same audience must not pass (RFC 9068 section 4).
	var header struct{ Typ string }
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || json.Unmarshal(decoded, &header) != nil || header.Typ != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	return claims, nil
}

// keys forgets what it fetched after maxAge: oidc.RemoteKeySet alone trusts a key until it meets one it does not know.
type keys struct {
	fresh  func() oidc.KeySet
	maxAge time.Duration
	mutex  sync.Mutex
	set    oidc.KeySet
	since  time.Time
}

// VerifySignature makes it an oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	return k.current().VerifySignature(ctx, token)
}

func (k *keys) current() oidc.KeySet {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.set == nil || time.Since(k.since) > k.maxAge {
		k.set, k.since = k.fresh(), time.Now()
	}
	return k.set
}
