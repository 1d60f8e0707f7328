//! Descriptor sets as bytes: what is kept of them, and what is read again when somebody asks.
//!
//! Comments are most of a set, and hardly ever asked for: pools are made without them.

use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{DescriptorError, DescriptorPool};
use prost_types::{FileDescriptorProto, SourceCodeInfo};

/// The field of a file that has its comments.
const SOURCE: u32 = 9;

/// Adds a set to a pool, without its comments.
pub(crate) fn add(pool: &mut DescriptorPool, set: &[u8]) -> Result<(), DescriptorError> {
    // What cannot be taken apart is for the pool to refuse.
    pool.decode_file_descriptor_set(without_source(set).as_deref().unwrap_or(set))
}

/// The comments of a file of a set.
pub(super) fn source(set: &[u8], name: &str) -> Option<SourceCodeInfo> {
    let files = files(set).ok()?;
    let decoded = files.into_iter().filter_map(|file| FileDescriptorProto::decode(file).ok());
    decoded.filter(|file| file.name() == name).find_map(|file| file.source_code_info)
}

fn files(mut set: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut files = Vec::new();
    while !set.is_empty() {
        match decode_key(&mut set)? {
            (1, WireType::LengthDelimited) => files.push(taken(&mut set)?),
            (tag, wire) => skip_field(wire, tag, &mut set, DecodeContext::default())?,
        }
    }
    Ok(files)
}

fn without_source(set: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut kept = Vec::new();
    for mut file in files(set)? {
        let mut bare = Vec::with_capacity(file.len());
        while !file.is_empty() {
            let before = file;
            let (tag, wire) = decode_key(&mut file)?;
            skip_field(wire, tag, &mut file, DecodeContext::default())?;
            if tag != SOURCE {
                bare.extend_from_slice(&before[..before.len() - file.len()]);
            }
        }
        prost::encoding::bytes::encode(1, &bare, &mut kept);
    }
    Ok(kept)
}

/// What stands behind its length.
fn taken<'b>(set: &mut &'b [u8]) -> Result<&'b [u8], DecodeError> {
    let length = usize::try_from(decode_varint(set)?).unwrap_or(usize::MAX);
    match set.split_at_checked(length) {
        Some((file, rest)) => {
            *set = rest;
            Ok(file)
        }
        // It ends before it should: for prost to say so.
        None => FileDescriptorProto::decode(&[8_u8][..]).map(|_| &[][..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_options_and_no_comments() {
        let mut pool = DescriptorPool::new();
        add(&mut pool, proto::products::DESCRIPTORS).unwrap();

        let service = pool.get_service_by_name("rundoo.products.v1.ProductService").unwrap();
        let option = pool.get_extension_by_name("google.api.http").unwrap();
        assert!(service.methods().any(|method| method.options().has_extension(&option)));
        assert!(service.parent_file().file_descriptor_proto().source_code_info.is_none());
        let source = source(proto::products::DESCRIPTORS, service.parent_file().name()).unwrap();
        assert!(source.location.iter().any(|location| location.leading_comments().contains("Products")));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bytes in [&[0xff_u8][..], &[10, 200, 1], &[10, 2, 0x48, 0xff]] {
            assert!(add(&mut DescriptorPool::new(), bytes).is_err(), "{bytes:?}");
        }
    }
}
