//! What a report says in sentences: why a figure is not claimed, and what a reader must know beside the figures. Each has a
//! code for machines, and a text in every language of the report.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::language::{Language, list};

/// A reason why a figure is not claimed.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    DoubleCounting {
        fault: String,
    },
    NoBoundaryMeter,
    NoItMeter,
    NoCategory {
        meters: Vec<Arc<str>>,
    },
    NotEnergy {
        meters: Vec<Arc<str>>,
    },
    PeriodNotOver {
        ends: String,
    },
    NoData,
    MeterWithoutData {
        meters: Vec<Arc<str>>,
    },
    Implausible {
        meter: Arc<str>,
        kwh: f64,
        at: String,
        max_power_kw: f64,
    },
    LowCoverage {
        meter: Arc<str>,
        known: f64,
        missing_hours: f64,
        needed: f64,
    },
    GapsApart {
        known: f64,
        needed: f64,
    },
    ItEnergyZero,
    FacilityBelowIt {
        facility_kwh: f64,
        it_kwh: f64,
    },
    /// Of a method that knows calendar years only.
    NoCalendarYear {
        method: String,
    },
    Undefined {
        why: String,
    },
}

/// Something beside the figures.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Simulated,
    PlantChanged { at: Vec<Arc<str>> },
    LeftOut { quarters: usize, of: usize },
    OddQuarters { quarters: usize },
    CoolingInsideIt { cdus: Vec<Arc<str>> },
    Reset { meter: Arc<str> },
    Strangers { meters: Vec<Arc<str>> },
    Integrated { meters: Vec<Arc<str>> },
    Estimated { share: f64 },
    Corrected { corrections: usize },
    Late { rows: u32 },
    Shared { meter: Arc<str>, percent: f64, basis: String },
    ModelsUnknown { meters: usize },
    DegreeDayBase { base_c: f64 },
    Unbalanced { meter: Arc<str>, percent: f64, suspect: Option<(Arc<str>, f64)> },
}

/// Never rounded up: what is not complete does not read 100 %.
pub(crate) fn floored_percent(share: f64) -> String {
    let floored = (share * 1e4 + 1e-6).floor() / 100.0;
    format!("{floored} %")
}

impl Refusal {
    /// For machines: `low_coverage`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DoubleCounting { .. } => "double_counting",
            Self::NoBoundaryMeter => "no_boundary_meter",
            Self::NoItMeter => "no_it_meter",
            Self::NoCategory { .. } => "no_category",
            Self::NotEnergy { .. } => "not_energy",
            Self::PeriodNotOver { .. } => "period_not_over",
            Self::NoData => "no_data",
            Self::MeterWithoutData { .. } => "meter_without_data",
            Self::Implausible { .. } => "implausible_energy",
            Self::LowCoverage { .. } | Self::GapsApart { .. } => "low_coverage",
            Self::ItEnergyZero => "it_energy_zero",
            Self::FacilityBelowIt { .. } => "facility_below_it",
            Self::NoCalendarYear { .. } => "no_calendar_year",
            Self::Undefined { .. } => "undefined",
        }
    }

    /// What is wrong and what would mend it.
    pub fn text(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Chinese => self.chinese(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::DoubleCounting { fault } => {
                format!("{fault}: give one of them the role info_only, or mend what feeds what")
            }
            Self::NoBoundaryMeter => {
                "no meter measures what enters the data centre: a meter with role = \"boundary_in\" is needed".to_owned()
            }
            Self::NoItMeter => {
                "no meter measures IT load: a meter with role = \"it_load\" is needed".to_owned()
            }
            Self::NoCategory { meters } => format!(
                "the category is not known: {} must say where IT energy is metered, category = 1 (UPS output), 2 (PDU \
                 output) or 3 (IT input)",
                list(meters, Language::English)
            ),
            Self::NotEnergy { meters } => format!(
                "{} counts no energy and cannot be part of a sum",
                list(meters, Language::English)
            ),
            Self::PeriodNotOver { ends } => format!("the period is not over: it ends {ends}"),
            Self::NoData => {
                "the ledger has no energy in this period: another period, or another data directory?".to_owned()
            }
            Self::MeterWithoutData { meters } => {
                format!("no energy of {} is known", list(meters, Language::English))
            }
            Self::Implausible { meter, kwh, at, max_power_kw } => format!(
                "{meter} counted {kwh:.1} kWh in the quarter-hour from {at}, more than its plausible maximum of \
                 {max_power_kw} kW allows: its register jumped, or max_power is declared too low"
            ),
            Self::LowCoverage { meter, known, missing_hours, needed } => format!(
                "only {} of the energy of {meter} is known ({missing_hours:.1} h are missing); {} is needed",
                floored_percent(*known),
                floored_percent(*needed)
            ),
            Self::GapsApart { known, needed } => format!(
                "the meters' gaps lie at different times: only {} of the quarter-hours are known of all of them; {} is \
                 needed",
                floored_percent(*known),
                floored_percent(*needed)
            ),
            Self::ItEnergyZero => "IT energy is zero: no ratio is defined".to_owned(),
            Self::FacilityBelowIt { facility_kwh, it_kwh } => format!(
                "facility energy ({facility_kwh:.1} kWh) is below IT energy ({it_kwh:.1} kWh): a boundary or meter error"
            ),
            Self::NoCalendarYear { method } => {
                format!("{method} knows calendar years only, and the period is none")
            }
            Self::Undefined { why } => why.clone(),
        }
    }

    fn chinese(&self) -> String {
        match self {
            Self::DoubleCounting { fault } => {
                format!("重复计量（{fault}）：请将其中一块表的角色设为 info_only，或更正供电关系")
            }
            Self::NoBoundaryMeter => {
                "没有计量进入数据中心能源的电表：需要 role = \"boundary_in\" 的表".to_owned()
            }
            Self::NoItMeter => "没有计量IT负载的电表：需要 role = \"it_load\" 的表".to_owned(),
            Self::NoCategory { meters } => format!(
                "类别未知：{} 须注明IT能耗计量位置，category = 1（UPS输出）、2（PDU输出）或 3（IT设备输入）",
                list(meters, Language::Chinese)
            ),
            Self::NotEnergy { meters } => {
                format!("{} 不计量能量，不能计入总和", list(meters, Language::Chinese))
            }
            Self::PeriodNotOver { ends } => format!("报告期尚未结束：结束于 {ends}"),
            Self::NoData => "台账中没有本期能量数据：是否选错了报告期或数据目录？".to_owned(),
            Self::MeterWithoutData { meters } => {
                format!("{} 没有能量数据", list(meters, Language::Chinese))
            }
            Self::Implausible { meter, kwh, at, max_power_kw } => format!(
                "{meter} 在 {at} 起的一刻钟内计量 {kwh:.1} kWh，超过其最大合理功率 {max_power_kw} kW：表底数跳变，或 max_power \
                 申报过低"
            ),
            Self::LowCoverage { meter, known, missing_hours, needed } => format!(
                "{meter} 的能量仅 {} 已知（缺 {missing_hours:.1} 小时），要求 {}",
                floored_percent(*known),
                floored_percent(*needed)
            ),
            Self::GapsApart { known, needed } => format!(
                "各表缺失时段不同：所有表均完整的一刻钟仅占 {}，要求 {}",
                floored_percent(*known),
                floored_percent(*needed)
            ),
            Self::ItEnergyZero => "IT能耗为零：比值无定义".to_owned(),
            Self::FacilityBelowIt { facility_kwh, it_kwh } => format!(
                "总能耗（{facility_kwh:.1} kWh）小于IT能耗（{it_kwh:.1} kWh）：边界或电表有误"
            ),
            Self::NoCalendarYear { method } => {
                format!("{method} 仅适用于日历年，本报告期不是日历年")
            }
            Self::Undefined { why } => format!("无定义：{why}"),
        }
    }
}

impl Note {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::PlantChanged { .. } => "plant_changed",
            Self::LeftOut { .. } => "left_out",
            Self::OddQuarters { .. } => "odd_quarters",
            Self::CoolingInsideIt { .. } => "cooling_inside_it",
            Self::Reset { .. } => "register_reset",
            Self::Strangers { .. } => "strangers",
            Self::Integrated { .. } => "integrated",
            Self::Estimated { .. } => "estimated",
            Self::Corrected { .. } => "corrected",
            Self::Late { .. } => "late",
            Self::Shared { .. } => "shared",
            Self::ModelsUnknown { .. } => "models_unknown",
            Self::DegreeDayBase { .. } => "degree_day_base",
            Self::Unbalanced { .. } => "unbalanced",
        }
    }

    pub fn text(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Chinese => self.chinese(),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Simulated => {
                "The hall is simulated: these figures are about no real plant.".to_owned()
            }
            Self::PlantChanged { at } => format!(
                "The configuration of the site changed within the period ({}): these figures follow the last one.",
                list(at, Language::English)
            ),
            Self::LeftOut { quarters, of } => format!(
                "{quarters} of {of} quarter-hours are left out of both energies, because at least one of their meters has \
                 no full amount there: both cover the same time."
            ),
            Self::OddQuarters { quarters } => format!(
                "In {quarters} measured quarter-hours facility over IT energy lies outside 1 to 3: meters of one sum may \
                 be read at other moments than those of the other, or a meter errs."
            ),
            Self::CoolingInsideIt { cdus } => format!(
                "Cooling energy is inside IT energy: the pumps of {} hang on IT meters and are metered nowhere else.",
                list(cdus, Language::English)
            ),
            Self::Reset { meter } => {
                format!("The register of {meter} was reset: its amount is a lower bound.")
            }
            Self::Strangers { meters } => format!(
                "The ledger also has rows of {}, which the plant does not know: they are in no figure.",
                list(meters, Language::English)
            ),
            Self::Integrated { meters } => format!(
                "{} has no energy register: its energy is integrated from power readings.",
                list(meters, Language::English)
            ),
            Self::Estimated { share } => format!(
                "{} of the energy in the figures is estimated.",
                crate::language::percent(*share)
            ),
            Self::Corrected { corrections } => format!(
                "{corrections} corrections were entered for the period; what was recorded before is kept in the ledger."
            ),
            Self::Late { rows } => format!(
                "{rows} rows came after a report of their period was sealed; they count here and are not in that report."
            ),
            Self::Shared { meter, percent, basis } => {
                format!("{percent} % of {meter} is the data centre's: {basis}.")
            }
            Self::ModelsUnknown { meters } => format!(
                "The model of {meters} meters is not declared: they are taken to err together, which makes the interval \
                 wider."
            ),
            Self::DegreeDayBase { base_c } => {
                format!("Cooling degree days are above a daily mean of {base_c} °C outdoors.")
            }
            Self::Unbalanced { meter, percent, suspect } => {
                let suspect = suspect.as_ref().map_or_else(
                    || "which meter errs cannot be told from their loads".to_owned(),
                    |(name, error)| {
                        format!("the difference follows {name}, which shows {error:+.1} %")
                    },
                );
                format!("{meter} and the meters below it differ by {percent:+.1} %: {suspect}.")
            }
        }
    }

    fn chinese(&self) -> String {
        match self {
            Self::Simulated => "本机房为仿真：数据不代表任何真实设施。".to_owned(),
            Self::PlantChanged { at } => format!(
                "报告期内站点配置有变更（{}）：数据按最后一次配置计算。",
                list(at, Language::Chinese)
            ),
            Self::LeftOut { quarters, of } => format!(
                "{of} 个一刻钟中有 {quarters} 个未计入两项能量，因其中至少一块表数据不完整：两项能量覆盖相同时段。"
            ),
            Self::OddQuarters { quarters } => format!(
                "有 {quarters} 个实测一刻钟的总能耗与IT能耗之比超出1至3：两组表读数时刻可能不同，或有表计误差。"
            ),
            Self::CoolingInsideIt { cdus } => format!(
                "IT能耗中含冷却能耗：{} 的水泵由IT电表供电且无单独计量。",
                list(cdus, Language::Chinese)
            ),
            Self::Reset { meter } => format!("{meter} 的表底数曾复位：其电量为下限值。"),
            Self::Strangers { meters } => {
                format!(
                    "台账另有 {} 的记录，配置中无此表：未计入。",
                    list(meters, Language::Chinese)
                )
            }
            Self::Integrated { meters } => {
                format!("{} 无电能表底数：其电量由功率积分得到。", list(meters, Language::Chinese))
            }
            Self::Estimated { share } => {
                format!("计入的能量中有 {} 为估算值。", crate::language::percent(*share))
            }
            Self::Corrected { corrections } => {
                format!("本期录入了 {corrections} 项更正；原始记录保留在台账中。")
            }
            Self::Late { rows } => {
                format!("有 {rows} 条记录在该期报告封存后到达；计入本报告，不在已封存报告中。")
            }
            Self::Shared { meter, percent, basis } => {
                format!("{meter} 的 {percent} % 属于数据中心：{basis}。")
            }
            Self::ModelsUnknown { meters } => {
                format!("有 {meters} 块表未申报型号：按误差相关处理，区间偏宽。")
            }
            Self::DegreeDayBase { base_c } => {
                format!("制冷度日以室外日平均温度 {base_c} °C 为基准。")
            }
            Self::Unbalanced { meter, percent, suspect } => {
                let suspect = suspect.as_ref().map_or_else(
                    || "无法由负载判断哪块表有误".to_owned(),
                    |(name, error)| format!("差值随 {name} 变化，其示值偏差 {error:+.1} %"),
                );
                format!("{meter} 与其下级各表相差 {percent:+.1} %：{suspect}。")
            }
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        said(to, self.code(), &self.english())
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        said(to, self.code(), &self.english())
    }
}

fn said<S: Serializer>(to: S, code: &'static str, text: &str) -> Result<S::Ok, S::Error> {
    let mut said = to.serialize_struct("Said", 2)?;
    said.serialize_field("code", code)?;
    said.serialize_field("text", text)?;
    said.end()
}
