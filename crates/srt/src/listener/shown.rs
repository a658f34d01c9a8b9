//! A stream id as it may be logged: without what is, by convention, a password.
//!
//! Both conventions in use are known here: `mode:path[:user:password]`, and the access control form's key `s`.

/// The stream id without its secret.
pub(crate) fn shown(stream_id: &str) -> String {
    match stream_id.strip_prefix("#!::") {
        Some(pairs) => {
            let kept: Vec<&str> = pairs.split(',').filter(|pair| !pair.starts_with("s=")).collect();
            format!("#!::{}", kept.join(","))
        }
        None => stream_id.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn secrets_are_left_out() {
        assert_eq!(
            shown("publish:bus/front/20261122-101500:bus:secret"),
            "publish:bus/front/20261122-101500"
        );
        assert_eq!(shown("#!::m=publish,r=bus/x,u=bus,s=secret"), "#!::m=publish,r=bus/x,u=bus");
        assert_eq!(shown("anything"), "anything");
    }
}
