//! The refresh cookie of a session that its holder ends by another way than signing out.

use super::*;

const CLEARED: &str = "signet-refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict";

async fn ask(app: &TestApp, by: &SignedIn, path: &str, cookie: Option<&SignedIn>) -> Response {
    let mut request = app.request(Method::DELETE, path).bearer_auth(&by.token);
    if let Some(SignedIn { refresh_token, .. }) = cookie {
        request = request.header("cookie", format!("a=b; signet-refresh={refresh_token}"));
    }
    request.send().await.unwrap()
}

fn set_cookies(answer: &Response) -> Vec<String> {
    answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_does_not_keep_the_token_of_a_session_that_it_ended() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    for path in ["/api/v1/me/sessions/{sid}", "/api/v1/me/sessions", "/api/v1/me"] {
        let phone = SignedIn::new(&app, "ann@example.com").await;
        let answer = ask(&app, &phone, &path.replace("{sid}", &phone.sid), Some(&phone)).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(set_cookies(&answer), [CLEARED], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_keeps_the_token_of_every_other_session() {
    let app = TestApp::spawn().await;
    app.register("ann@example.com").await;
    app.register("bob@example.com").await;
    let bob = SignedIn::new(&app, "bob@example.com").await;
    let phone = SignedIn::new(&app, "ann@example.com").await;
    let laptop = SignedIn::new(&app, "ann@example.com").await;
    let one = format!("/api/v1/me/sessions/{}", laptop.sid);
    for (path, cookie) in [
        (one.as_str(), Some(&phone)),
        ("/api/v1/me/sessions?except=current", Some(&phone)),
        ("/api/v1/me/sessions?except=current", None),
        ("/api/v1/me/sessions?except=others", Some(&laptop)),
        ("/api/v1/me/sessions/x", Some(&laptop)),
        ("/api/v1/me", Some(&bob)),
    ] {
        let answer = ask(&app, &phone, path, cookie).await;
        assert_eq!(set_cookies(&answer), [""; 0], "{path}");
    }
    assert_eq!(bob.refresh(&app).await.status(), StatusCode::OK);
}
