//! Whose form of access token is accepted: that of RFC 9068, and those of issuers that stray from it.

/// The form in which an issuer writes its access tokens: a fixed list of [`Relaxation`]s, chosen by
/// [`VerifierBuilder::profile`](crate::VerifierBuilder::profile).
///
/// None of them relaxes what makes a token genuine and meant for this API: the signature, `iss` and `aud` byte for
/// byte, `sub`, `exp` and `iat` stay as [`Profile::Rfc9068`] has them, and there is always a client id. A token that
/// says `at+jwt` is judged under every profile as under that one, save that claims it lacks are looked for elsewhere: an
/// issuer may begin to write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// RFC 9068 to the letter, as Signet and `oidc-provider` write it. Nothing is relaxed.
    #[default]
    Rfc9068,
    /// Keycloak. Its header says `JWT`, the client id is in `azp`, and the realm's roles are in `realm_access`. Since release
    /// 26.2 a client can be told to write `at+jwt`; with a mapper for `client_id` besides, no profile is needed.
    ///
    /// The claim `typ` tells its tokens apart: `Bearer` for access tokens, and `ID`, `Refresh`, `Offline`, `Logout` for
    /// others. `nonce` tells nothing, since access tokens had it too before release 25. The API's name is in `aud` only
    /// when an audience mapper puts it there. Roles of one client stay in `own["resource_access"]`.
    ///
    /// # Source
    /// Keycloak's `TokenUtil`; its Upgrading Guide, 25.0.0, "Nonce claim is only added to the ID token"; its Server
    /// Administration Guide, "Audience support"; its client setting "Use "at+jwt" as access token header type".
    Keycloak,
    /// Microsoft Entra ID, tokens of version 1.0 and 2.0. Their header says `JWT`; the client id is in `appid` (1.0) or
    /// `azp` (2.0), the token's own name in `uti`, the scope in `scp`.
    ///
    /// ID tokens have neither `appid` nor `azp`, and their `aud` is the client. A token without a scope and without a
    /// role is refused: Entra ID gives any application of the tenant a token for any API, and leaves it to the API to
    /// look for permissions. An API that shares its registration with its client finds `aud` and `azp` equal and has to
    /// have one of its own.
    ///
    /// A tenant's issuer is one string (`https://login.microsoftonline.com/TENANT/v2.0`), compared byte for byte;
    /// templates for many tenants are not supported. Tokens of version 1.0 are issued by `https://sts.windows.net/TENANT/`,
    /// where no keys are: let the API ask for version 2.0 (`requestedAccessTokenVersion`), or bring the keys yourself.
    ///
    /// # Source
    /// Microsoft identity platform, "Access token claims reference", "ID token claims reference", and "OAuth 2.0 client
    /// credentials flow", section "Controlling tokens without the roles claim".
    Entra,
    /// Auth0's own token dialect, its default. The header says `JWT`, the client id is in `azp`, and tokens have no
    /// `jti`. The better choice is to set the API's dialect to `rfc9068_profile` and to need no profile here.
    ///
    /// ID tokens have the client as `aud` and no client id beside it. The permissions of Auth0's RBAC stay in
    /// `own["permissions"]`.
    ///
    /// # Source
    /// Auth0 Docs, "Access Token Profiles" and "ID Token Structure".
    Auth0,
}

impl Profile {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[Self::Rfc9068, Self::Keycloak, Self::Entra, Self::Auth0];

    /// What it allows.
    pub const fn relaxations(self) -> &'static [Relaxation] {
        match self {
            Self::Rfc9068 => &[],
            Self::Keycloak => {
                &[Relaxation::BearerClaim, Relaxation::ClientIdInAzp, Relaxation::RolesInRealmAccess]
            }
            Self::Entra => &[
                Relaxation::PermissionClaim,
                Relaxation::ClientIdInAzp,
                Relaxation::ClientIdInAppid,
                Relaxation::JtiInUti,
                Relaxation::ScopeInScp,
            ],
            Self::Auth0 => &[Relaxation::PlainJwt, Relaxation::ClientIdInAzp, Relaxation::NoJti],
        }
    }
}

/// One way in which a token may stray from RFC 9068; allowed by name, with
/// [`VerifierBuilder::allow`](crate::VerifierBuilder::allow) or as part of a [`Profile`]. A claim that is read
/// instead of another must be of the same type, and stays in [`own`](crate::AccessTokenClaims::own).
///
/// The first four are about the `typ` of the header, the one thing by which RFC 9068 tells an access token from an ID
/// token of the same issuer. A token that lacks `at+jwt` must therefore not look like another kind. It has no `at_hash`,
/// `c_hash` or `s_hash`, as ID tokens may (OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11; FAPI 1.0 Part 2 §5.1), no
/// `events`, as logout tokens and other security events do (RFC 8417 §2.2), no claim `typ` but `Bearer`, and in its `aud`
/// not the client's own id, as every ID token does (OpenID Connect Core 1.0 §2). An ID token for an API that is a client
/// too may have none of these marks, but then it names no client beside `aud`: so no relaxation does without a client id.
/// Look at an ID token of your issuer before you allow one of the four. Other values of the header's `typ` are never
/// accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Relaxation {
    /// The header's `typ` is `JWT`. The token has no `nonce`, as ID tokens have (OpenID Connect Core 1.0 §2).
    PlainJwt,
    /// The header has no `typ`. The token has no `nonce`.
    NoType,
    /// The header's `typ` is `JWT` and the claim `typ` is `Bearer`. A `nonce` does not matter.
    BearerClaim,
    /// The header's `typ` is `JWT`, and the token has a scope or a role. It has no `nonce`.
    PermissionClaim,
    /// The client id is in `azp` where there is no `client_id` (OpenID Connect Core 1.0 §2 defines it for ID tokens).
    ClientIdInAzp,
    /// The client id is in `appid` where there is no `client_id`.
    ClientIdInAppid,
    /// The client id is in `cid` where there is no `client_id`.
    ClientIdInCid,
    /// The token's own name is in `uti` where there is no `jti`.
    JtiInUti,
    /// There is no `jti`. The token is then called `sha256:` and the SHA-256, in base64url, of what its signature covers:
    /// the same each time it comes, and another for any other token.
    NoJti,
    /// The scope is in `scp`, a string or an array of strings, where there is no `scope`.
    ScopeInScp,
    /// `scope` is an array of strings.
    ScopeAsArray,
    /// The roles are in `roles` of `realm_access` where there are no `roles`.
    RolesInRealmAccess,
}

impl Relaxation {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[
        Self::PlainJwt,
        Self::NoType,
        Self::BearerClaim,
        Self::PermissionClaim,
        Self::ClientIdInAzp,
        Self::ClientIdInAppid,
        Self::ClientIdInCid,
        Self::JtiInUti,
        Self::NoJti,
        Self::ScopeInScp,
        Self::ScopeAsArray,
        Self::RolesInRealmAccess,
    ];
}
