# What errors of the crates below mean; their own texts are English.
refused-gap = changes are missing before this one on the server
refused-fork = the chain was continued elsewhere
refused-too-large = it is longer than the server takes
