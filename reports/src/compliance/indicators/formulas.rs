//! The further figures as a table: what each is formed from, and how.

use rules::{indicators as formula, value::Undefined};

/// An amount of the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Facility,
    It,
    Cooling,
    Losses,
    ReusedHeat,
    Renewable,
    LiquidHeat,
    Water,
    ComputeShare,
    EmissionFactor,
}

impl Operand {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Facility => "facility energy",
            Self::It => "IT energy",
            Self::Cooling => "cooling energy",
            Self::Losses => "power losses",
            Self::ReusedHeat => "reused heat",
            Self::Renewable => "renewable energy",
            Self::LiquidHeat => "heat removed by liquid",
            Self::Water => "water",
            Self::ComputeShare => "compute share of IT energy",
            Self::EmissionFactor => "emission factor",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Water => "m³",
            Self::ComputeShare => "",
            Self::EmissionFactor => "kg/kWh",
            _ => "kWh",
        }
    }
}

/// A figure before it has a value.
pub(super) struct Formula {
    pub(super) id: &'static str,
    pub(super) en: &'static str,
    pub(super) zh: &'static str,
    pub(super) unit: &'static str,
    /// How it is formed, in English and Chinese.
    pub(super) text: (&'static str, &'static str),
    pub(super) of: &'static [Operand],
    /// Takes the operands in their order.
    pub(super) value: fn(&[f64]) -> Result<f64, Undefined>,
}

/// Domain facts §2.
pub(super) const FORMULAS: [Formula; 11] = [
    Formula {
        id: "clf",
        en: "cooling load factor",
        zh: "冷却负载系数",
        unit: "",
        text: ("cooling / IT energy", "冷却用电 / IT能耗"),
        of: &[Operand::Cooling, Operand::It],
        value: |x| formula::cooling_load_factor(x[0], x[1]),
    },
    Formula {
        id: "plf",
        en: "power load factor",
        zh: "供电负载系数",
        unit: "",
        text: ("power losses / IT energy", "配电损耗 / IT能耗"),
        of: &[Operand::Losses, Operand::It],
        value: |x| formula::power_load_factor(x[0], x[1]),
    },
    Formula {
        id: "itue",
        en: "IT usage effectiveness",
        zh: "IT内部能效",
        unit: "",
        text: ("IT / compute energy", "IT能耗 / 计算部件能耗"),
        of: &[Operand::ComputeShare],
        value: |x| formula::it_usage(1.0, x[0]),
    },
    Formula {
        id: "tue",
        en: "total usage effectiveness",
        zh: "总使用能效",
        unit: "",
        text: ("facility / compute energy", "总能耗 / 计算部件能耗"),
        of: &[Operand::Facility, Operand::It, Operand::ComputeShare],
        value: |x| formula::total_usage(x[0], x[1] * x[2]),
    },
    Formula {
        id: "erf",
        en: "energy reuse factor",
        zh: "能源再利用系数",
        unit: "",
        text: ("reused heat / facility energy", "再利用热量 / 总能耗"),
        of: &[Operand::ReusedHeat, Operand::Facility],
        value: |x| formula::energy_reuse_factor(x[0], x[1]),
    },
    Formula {
        id: "ere",
        en: "energy reuse effectiveness",
        zh: "能源再利用能效",
        unit: "",
        text: ("(facility − reused) / IT energy", "(总能耗 − 再利用) / IT能耗"),
        of: &[Operand::Facility, Operand::ReusedHeat, Operand::It],
        value: |x| formula::energy_reuse_effectiveness(x[0], x[1], x[2]),
    },
    Formula {
        id: "ref",
        en: "renewable energy factor",
        zh: "可再生能源系数",
        unit: "",
        text: ("renewable / facility energy", "可再生能源 / 总能耗"),
        of: &[Operand::Renewable, Operand::Facility],
        value: |x| formula::renewable_energy_factor(x[0], x[1]),
    },
    Formula {
        id: "cer",
        en: "cooling efficiency ratio",
        zh: "冷却能效比",
        unit: "",
        text: ("heat removed / cooling energy", "带走热量 / 冷却用电"),
        of: &[Operand::LiquidHeat, Operand::Cooling],
        value: |x| formula::cooling_efficiency_ratio(x[0], x[1]),
    },
    Formula {
        id: "cue",
        en: "carbon usage effectiveness",
        zh: "碳使用效率",
        unit: "kg/kWh",
        text: ("facility energy · emission factor / IT energy", "总能耗 · 排放因子 / IT能耗"),
        of: &[Operand::Facility, Operand::EmissionFactor, Operand::It],
        value: |x| formula::carbon_usage(x[0], x[1], x[2]),
    },
    Formula {
        id: "wue",
        en: "water usage effectiveness",
        zh: "水使用效率",
        unit: "L/kWh",
        text: ("water / IT energy", "用水 / IT能耗"),
        of: &[Operand::Water, Operand::It],
        value: |x| formula::water_usage(x[0], x[1]),
    },
    Formula {
        id: "heat_capture",
        en: "share of IT energy that the liquid carries off",
        zh: "液冷热量占比",
        unit: "",
        text: ("heat removed by liquid / IT energy", "液体带走热量 / IT能耗"),
        of: &[Operand::LiquidHeat, Operand::It],
        value: |x| formula::heat_capture(x[0], x[1]),
    },
];
