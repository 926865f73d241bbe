//! Two sides of a context.

use suibi_coap::Request;
use suibi_oscore::{Context, KeyId, OscoreOption, Parameters, RequestId, Secret, UnprotectError};

/// Client and server.
pub(crate) fn pair() -> (Context, Context) {
    pair_with(None)
}

/// The same with an ID Context.
pub(crate) fn pair_with(id_context: Option<&[u8]>) -> (Context, Context) {
    let secret = Secret::from_bytes(&[7; 32]).unwrap();
    let [client, server] = [b"c", b"s"].map(|id| KeyId::from_slice(id).unwrap());
    let side = |sender, recipient| {
        let salt = b"salt";
        Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
    };
    (side(client, server), side(server, client))
}

/// Opens a request with the option that it has.
pub(crate) fn open(
    server: &mut Context,
    outer: &Request,
) -> Result<(Request, RequestId), UnprotectError> {
    let option = OscoreOption::of(&outer.options).ok_or(UnprotectError::BadOption)??;
    server.unprotect_request(outer, &option)
}
