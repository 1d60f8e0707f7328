//! Protobuf as it comes: numbers of fields, and what stands behind them.

use crate::gateway::json::Unusual;

/// What a field holds, as far as the wire says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

/// How numbers of a list stand one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Fixed32,
}

impl<'b> Item<'b> {
    /// What a text, a message or a list holds.
    pub(crate) fn bytes(self) -> Option<&'b [u8]> {
        match self {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// What a whole number holds.
    pub(crate) fn varint(self) -> Option<u64> {
        match self {
            Item::Varint(number) => Some(number),
            _ => None,
        }
    }

    /// Whether it is what a field holds that nobody set.
    pub(super) fn is_default(self) -> bool {
        match self {
            Item::Varint(number) | Item::Fixed64(number) => number == 0,
            Item::Fixed32(number) => number == 0,
            Item::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

/// Reads an encoded message.
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Reader(bytes)
    }

    /// The next field, if there is one more.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Item<'b>)>, Unusual> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        // Fields count from 1, and a key has 32 bits.
        let number = u32::try_from(key).map_err(|_| Unusual)? >> 3;
        if number == 0 {
            return Err(Unusual);
        }
        let item = match key & 7 {
            0 => Item::Varint(self.varint()?),
            1 => Item::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Unusual)?;
                Item::Bytes(self.take(length)?)
            }
            5 => Item::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups are older than anything that is called here.
            _ => return Err(Unusual),
        };
        Ok(Some((number, item)))
    }

    /// The next number of a packed list, if there is one more.
    pub(super) fn packed(&mut self, wire: Wire) -> Result<Option<Item<'b>>, Unusual> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(match wire {
            Wire::Varint => Item::Varint(self.varint()?),
            Wire::Fixed64 => Item::Fixed64(u64::from_le_bytes(self.array()?)),
            Wire::Fixed32 => Item::Fixed32(u32::from_le_bytes(self.array()?)),
        }))
    }

    fn varint(&mut self) -> Result<u64, Unusual> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unusual)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Unusual)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Unusual> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unusual)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unusual> {
        self.take(N)?.try_into().map_err(|_| Unusual)
    }
}
