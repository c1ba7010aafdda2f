//! Register words ↔ values, in both directions: the collector decodes, the simulator encodes.

use std::sync::Arc;

use rules::value::{NoData, Value};
use thiserror::Error;

/// How a value lies in its registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Codec {
    pub encoding: Encoding,
    pub order: Order,
    /// value = raw × scale + offset. Of numbers only.
    pub scale: f64,
    pub offset: f64,
    /// Raw values that mean "not available", as a number or as the register's bits: 0x8000 and −32768 are the same in
    /// an [`Encoding::I16`]. Text has none.
    pub not_available: Vec<i128>,
    /// Inclusive limits on the scaled value; outside is [`NoData::OutOfRange`]. Of numbers only.
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
    /// coils or discrete inputs. A coil is the word 0 or 1.
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
///
/// 64-bit values follow the same four: `Cdab` is the least significant word first, `Badc` swaps the bytes of each word,
/// `Dcba` does both. One-register values know the byte swap only. Text always runs in the order of its registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Abcd,
    Cdab,
    Badc,
    Dcba,
}

/// Why a value cannot be put into registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    #[error("not a finite number")]
    NotFinite,
    #[error("does not fit into the registers")]
    DoesNotFit,
    #[error("text where a number belongs, or the other way round")]
    WrongKind,
    #[error("not printable ASCII")]
    NotAscii,
    #[error("would read as not available")]
    ReadsAsNotAvailable,
}

impl Order {
    fn swaps_words(self) -> bool {
        matches!(self, Self::Cdab | Self::Dcba)
    }

    fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }

    /// A register as it came ↔ its two bytes, most significant first.
    fn word(self, word: u16) -> u16 {
        if self.swaps_bytes() { word.swap_bytes() } else { word }
    }

    /// At most four registers as one number.
    fn join(self, words: &[u16]) -> u64 {
        let push = |bits: u64, word: &u16| (bits << 16) | u64::from(self.word(*word));
        if self.swaps_words() {
            words.iter().rev().fold(0, push)
        } else {
            words.iter().fold(0, push)
        }
    }

    /// The low `count` × 16 bits as registers.
    fn split(self, bits: u64, count: u16) -> Vec<u16> {
        let bytes = bits.to_be_bytes();
        let all = bytes.as_chunks::<2>().0;
        let unused = all.len().saturating_sub(usize::from(count));
        let words = all.iter().skip(unused).map(|pair| self.word(u16::from_be_bytes(*pair)));
        let mut words: Vec<u16> = words.collect();
        if self.swaps_words() {
            words.reverse();
        }
        words
    }
}

impl Codec {
    /// A plain number: no scale, no offset, nothing excluded.
    pub fn plain(encoding: Encoding) -> Self {
        Self {
            encoding,
            order: Order::Abcd,
            scale: 1.0,
            offset: 0.0,
            not_available: Vec::new(),
            valid: None,
        }
    }

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
    ///
    /// 64-bit integers without scale and offset become [`Value::Integer`], because a float would lose their last
    /// digits; above `i64::MAX` they are [`NoData::OutOfRange`]. All other numbers become [`Value::Number`], which holds
    /// every 32-bit integer exactly. Bits and enumerations become [`Value::State`].
    pub fn decode(&self, words: &[u16]) -> Result<Value, NoData> {
        if words.len() != usize::from(self.registers()) || words.is_empty() {
            return Err(NoData::Malformed);
        }
        match self.encoding {
            Encoding::Text { .. } => self.decode_text(words),
            Encoding::Bits { .. } | Encoding::Enumeration => self.decode_state(words),
            Encoding::F32 | Encoding::F64 => self.decode_float(words),
            Encoding::U16
            | Encoding::I16
            | Encoding::U32
            | Encoding::I32
            | Encoding::U64
            | Encoding::I64 => self.decode_integer(words),
        }
    }

    /// A value in the profile's unit to registers; numbers are rounded to the nearest step.
    ///
    /// Bits are put in their place in an otherwise empty word. A value outside `valid` is encoded all the same: a
    /// simulated sensor may be broken.
    pub fn encode(&self, value: &Value) -> Result<Vec<u16>, EncodeError> {
        match self.encoding {
            Encoding::Text { registers } => match value {
                Value::Text(text) => self.encode_text(text, registers),
                Value::Number(_) | Value::Integer(_) | Value::State(_) => {
                    Err(EncodeError::WrongKind)
                }
            },
            Encoding::Bits { first, width } => {
                let code = whole(value)?;
                let mask = bit_mask(first, width).ok_or(EncodeError::DoesNotFit)?;
                let placed = u64::try_from(code)
                    .ok()
                    .and_then(|code| code.checked_mul(1 << first))
                    .filter(|placed| placed & !u64::from(mask) == 0)
                    .ok_or(EncodeError::DoesNotFit)?;
                self.pack(i128::from(placed))
            }
            Encoding::Enumeration => self.pack(whole(value)?),
            Encoding::F32 | Encoding::F64 => self.encode_float(value),
            Encoding::U16
            | Encoding::I16
            | Encoding::U32
            | Encoding::I32
            | Encoding::U64
            | Encoding::I64 => self.pack(self.raw_integer(value)?),
        }
    }

    /// What the device sends when it has no value: the first raw value that means so, NaN for a float without one, empty
    /// text. `None` where the profile knows no such value.
    pub fn encode_not_available(&self) -> Option<Vec<u16>> {
        let bits = match (self.encoding, self.not_available.first()) {
            (Encoding::Text { registers }, _) => return Some(vec![0; usize::from(registers)]),
            (Encoding::F32, None) => u64::from(f32::NAN.to_bits()),
            (Encoding::F64, None) => f64::NAN.to_bits(),
            (_, Some(raw)) => low_bits(*raw),
            (_, None) => return None,
        };
        Some(self.order.split(bits, self.registers()))
    }

    fn is_not_available(&self, raw: i128, bits: u64) -> bool {
        self.not_available.iter().any(|listed| *listed == raw || *listed == i128::from(bits))
    }

    fn decode_integer(&self, words: &[u16]) -> Result<Value, NoData> {
        let bits = self.order.join(words);
        let raw = self.raw(bits);
        if self.is_not_available(raw, bits) {
            return Err(NoData::NotAvailable);
        }
        if matches!(self.encoding, Encoding::U64 | Encoding::I64) && self.is_unscaled() {
            let exact = i64::try_from(raw).map_err(|_| NoData::OutOfRange)?;
            self.in_range(to_float(raw))?;
            return Ok(Value::Integer(exact));
        }
        Ok(Value::Number(self.in_range(self.scaled(to_float(raw)))?))
    }

    #[expect(clippy::float_cmp, reason = "a raw value is listed exactly or not at all")]
    fn decode_float(&self, words: &[u16]) -> Result<Value, NoData> {
        let bits = self.order.join(words);
        let raw = match u32::try_from(bits) {
            Ok(half) if self.encoding == Encoding::F32 => f64::from(f32::from_bits(half)),
            _ => f64::from_bits(bits),
        };
        let listed = |value: &i128| *value == i128::from(bits) || to_float(*value) == raw;
        if self.not_available.iter().any(listed) {
            return Err(NoData::NotAvailable);
        }
        Ok(Value::Number(self.in_range(self.scaled(raw))?))
    }

    fn decode_state(&self, words: &[u16]) -> Result<Value, NoData> {
        let bits = self.order.join(words);
        if self.is_not_available(i128::from(bits), bits) {
            return Err(NoData::NotAvailable);
        }
        let code = match self.encoding {
            Encoding::Bits { first, width } => {
                let mask = bit_mask(first, width).ok_or(NoData::Malformed)?;
                (bits & u64::from(mask)) >> first
            }
            _ => bits,
        };
        u32::try_from(code).map(Value::State).map_err(|_| NoData::Malformed)
    }

    /// Text without blanks and NULs around it, and without what follows a NUL. Whatever is not printable ASCII becomes
    /// U+FFFD: it is neither guessed nor passed on to a terminal.
    fn decode_text(&self, words: &[u16]) -> Result<Value, NoData> {
        let bytes: Vec<u8> =
            words.iter().flat_map(|word| self.order.word(*word).to_be_bytes()).collect();
        let text: String = bytes
            .split(|byte| *byte == 0)
            .find(|part| !part.trim_ascii().is_empty())
            .unwrap_or_default()
            .trim_ascii()
            .iter()
            .map(|byte| if is_printable(*byte) { char::from(*byte) } else { '\u{fffd}' })
            .collect();
        if text.is_empty() {
            return Err(NoData::NotAvailable);
        }
        Ok(Value::Text(text.into()))
    }

    fn encode_text(&self, text: &Arc<str>, registers: u16) -> Result<Vec<u16>, EncodeError> {
        if !text.bytes().all(is_printable) {
            return Err(EncodeError::NotAscii);
        }
        let mut bytes = text.as_bytes().to_vec();
        let size = 2 * usize::from(registers);
        if bytes.len() > size {
            return Err(EncodeError::DoesNotFit);
        }
        bytes.resize(size, 0);
        let pairs = bytes.as_chunks::<2>().0;
        Ok(pairs.iter().map(|pair| self.order.word(u16::from_be_bytes(*pair))).collect())
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to the device's precision")]
    fn encode_float(&self, value: &Value) -> Result<Vec<u16>, EncodeError> {
        let raw = self.unscaled(number(value)?);
        let bits = if self.encoding == Encoding::F32 {
            let single = raw as f32;
            if single.is_infinite() {
                return Err(EncodeError::DoesNotFit);
            }
            u64::from(single.to_bits())
        } else {
            raw.to_bits()
        };
        let words = self.order.split(bits, self.registers());
        match self.decode_float(&words) {
            Err(NoData::NotAvailable) => Err(EncodeError::ReadsAsNotAvailable),
            _ => Ok(words),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates and pack checks")]
    fn raw_integer(&self, value: &Value) -> Result<i128, EncodeError> {
        if let (Value::Integer(exact), true) = (value, self.is_unscaled()) {
            return Ok(i128::from(*exact));
        }
        let raw = self.unscaled(number(value)?);
        if raw.is_finite() { Ok(raw.round() as i128) } else { Err(EncodeError::DoesNotFit) }
    }

    /// A raw integer as registers, unless it does not fit or means something else.
    fn pack(&self, raw: i128) -> Result<Vec<u16>, EncodeError> {
        let bits =
            low_bits(raw) & (u64::MAX >> (64 - 16 * u32::from(self.registers().clamp(1, 4))));
        if self.raw(bits) != raw {
            return Err(EncodeError::DoesNotFit);
        }
        if self.is_not_available(raw, bits) {
            return Err(EncodeError::ReadsAsNotAvailable);
        }
        Ok(self.order.split(bits, self.registers()))
    }

    /// The bits as the integer they stand for.
    fn raw(&self, bits: u64) -> i128 {
        let sign_extended = |unused: u32| i128::from((bits << unused).cast_signed() >> unused);
        match self.encoding {
            Encoding::I16 => sign_extended(48),
            Encoding::I32 => sign_extended(32),
            Encoding::I64 => sign_extended(0),
            Encoding::U16
            | Encoding::U32
            | Encoding::U64
            | Encoding::F32
            | Encoding::F64
            | Encoding::Bits { .. }
            | Encoding::Enumeration
            | Encoding::Text { .. } => i128::from(bits),
        }
    }

    #[expect(clippy::float_cmp, reason = "the defaults, not computed numbers")]
    fn is_unscaled(&self) -> bool {
        self.scale == 1.0 && self.offset == 0.0
    }

    fn scaled(&self, raw: f64) -> f64 {
        match whole_divisor(self.scale) {
            Some(divisor) => (raw + self.offset * divisor) / divisor,
            None => raw * self.scale + self.offset,
        }
    }

    fn unscaled(&self, value: f64) -> f64 {
        match whole_divisor(self.scale) {
            Some(divisor) => (value - self.offset) * divisor,
            None => (value - self.offset) / self.scale,
        }
    }

    fn in_range(&self, number: f64) -> Result<f64, NoData> {
        if !number.is_finite() {
            return Err(NoData::NotFinite);
        }
        match self.valid {
            Some((low, high)) if number < low || number > high => Err(NoData::OutOfRange),
            _ => Ok(number),
        }
    }
}

/// The divisor behind a scale such as 0.1, which no binary float holds: 412 / 10 is 41.2, but 412 × 0.1 is not.
#[expect(clippy::float_cmp, reason = "decides whether to round, either answer is right")]
fn whole_divisor(scale: f64) -> Option<f64> {
    /// Of the quotient: a reciprocal is off by at most one bit in 53.
    const NOISE: f64 = 1e-12;
    let divisor = scale.recip().round();
    let near = divisor.is_finite() && (scale * divisor - 1.0).abs() <= NOISE;
    (near && divisor != 1.0).then_some(divisor)
}

/// A mask over the named bits of one register; `None` where the register has no such bits.
fn bit_mask(first: u8, width: u8) -> Option<u16> {
    if width == 0 || u16::from(first) + u16::from(width) > 16 {
        return None;
    }
    Some((u16::MAX >> (16 - width)) << first)
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

fn number(value: &Value) -> Result<f64, EncodeError> {
    let number = value.as_number().ok_or(EncodeError::WrongKind)?;
    if number.is_finite() { Ok(number) } else { Err(EncodeError::NotFinite) }
}

/// A state code; a number will do where it is whole.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates and pack checks")]
fn whole(value: &Value) -> Result<i128, EncodeError> {
    let number = number(value)?;
    if number.fract() == 0.0 { Ok(number as i128) } else { Err(EncodeError::DoesNotFit) }
}

#[expect(clippy::cast_precision_loss, reason = "exact 64-bit integers take another path")]
fn to_float(raw: i128) -> f64 {
    raw as f64
}

/// The low 64 bits, in two's complement.
fn low_bits(raw: i128) -> u64 {
    u64::try_from(raw & i128::from(u64::MAX)).unwrap_or(u64::MAX)
}
