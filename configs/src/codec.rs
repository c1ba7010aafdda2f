//! Register words ↔ values, in both directions: the collector decodes, the simulator encodes.

use rules::value::{NoData, Value};

/// How a value lies in its registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codec {
    pub encoding: Encoding,
    pub order: Order,
    /// value = raw × scale + offset. Of numbers only.
    pub scale: f64,
    pub offset: f64,
    /// Raw values that mean "not available".
    pub not_available: Vec<i128>,
    /// Inclusive limits on the scaled value; outside is [`NoData::OutOfRange`].
    pub valid: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// `width` bits from `first` (0 = least significant) of one register, or a coil when `width` is 1 and the table is
    /// coils or discrete inputs.
    Bits {
        first: u8,
        width: u8,
    },
    /// The whole register as a state code.
    Enumeration,
    /// ASCII, two characters a register.
    Text {
        registers: u16,
    },
}

/// The order of words, and of bytes within each word. Modbus default: big-endian both ("ABCD").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Abcd,
    Cdab,
    Badc,
    Dcba,
}

impl Codec {
    /// How many 16-bit registers the value takes.
    pub fn registers(&self) -> u16 {
        match self.encoding {
            Encoding::U16 | Encoding::I16 | Encoding::Bits { .. } | Encoding::Enumeration => 1,
            Encoding::U32 | Encoding::I32 | Encoding::F32 => 2,
            Encoding::U64 | Encoding::I64 | Encoding::F64 => 4,
            Encoding::Text { registers } => registers,
        }
    }

    /// Registers, as they came, to a value in the profile's unit.
    pub fn decode(&self, _words: &[u16]) -> Result<Value, NoData> {
        Err(NoData::Malformed)
    }
}
