//! The coefficients of the property fits, as published.
//!
//! Glycols: `CoolProp` (MIT licence), `dev/incompressible_liquids/json` at commit ea27c63. A property is
//! Σᵢ Σⱼ C\[i\]\[j\]·(T − `base_k`)ⁱ·(x − `base_fraction`)ʲ with T in kelvin and x the glycol fraction.
//!
//! Water: degree-6 fits over 0.5–99 °C to IAPWS-95 and the IAPWS formulations for viscosity (2008) and conductivity
//! (2011) at 0.3 `MPa`, within 3e-6 (density), 4e-5 (specific heat), 6e-5 (viscosity) and 2e-5 (conductivity). Pressure
//! between 0.1 and 0.6 `MPa` changes density times specific heat by less than 0.015 %.

/// One property as a polynomial of temperature (rows) and glycol fraction (columns).
pub(super) type Surface = [[f64; 6]; 4];

/// The property fit of one glycol.
pub(super) struct Fit {
    pub(super) base_k: f64,
    pub(super) base_fraction: f64,
    /// Lowest and highest glycol fraction that the data cover.
    pub(super) fractions: (f64, f64),
    /// Where the data end, if that is above the freezing point.
    pub(super) coldest_c: f64,
    /// In kg/m³.
    pub(super) density: Surface,
    /// In J/(kg·K).
    pub(super) specific_heat: Surface,
    /// Natural logarithm of the dynamic viscosity in Pa·s.
    pub(super) ln_viscosity: Surface,
    /// In W/(m·K).
    pub(super) conductivity: Surface,
    pub(super) freezing: Freezing,
}

/// Freezing point in kelvin, by powers of (x − `base_fraction`).
pub(super) enum Freezing {
    Polynomial([f64; 6]),
    ExpOfPolynomial([f64; 6]),
}

/// Density in kg/m³ by powers of (t − 50 °C) / 50.
pub(super) const WATER_DENSITY: [f64; 7] =
    [988.121_93, -22.610_442, -8.197_126_1, 1.532_452_3, -0.577_612_7, 0.323_355_89, -0.153_320_41];

/// Specific heat in J/(kg·K) by powers of (t − 50 °C) / 50.
pub(super) const WATER_SPECIFIC_HEAT: [f64; 7] =
    [4180.8744, 14.073_014, 20.732_505, -5.505_026_8, 9.894_071_9, -10.028_201, 5.290_623_6];

/// Natural logarithm of the viscosity in mPa·s by powers of (t − 50 °C) / 50.
pub(super) const WATER_LN_VISCOSITY: [f64; 7] = [
    -0.604_128_3,
    -0.839_545_59,
    0.227_794_95,
    -0.068_261_68,
    0.026_594_895,
    -0.017_152_667,
    0.007_636_365_3,
];

/// Conductivity in W/(m·K) by powers of (t − 50 °C) / 50.
pub(super) const WATER_CONDUCTIVITY: [f64; 7] = [
    0.640_726_31,
    0.056_185_323,
    -0.021_907_224,
    0.002_999_051_9,
    -0.001_429_383_5,
    0.001_566_652_8,
    -0.000_826_530_2,
];

/// `CoolProp` `APG.json`, from `ASHRAE2001,Skovrup2013`.
pub(super) const APG: Fit = Fit {
    base_k: 305.65,
    base_fraction: 0.35,
    fractions: (0.1, 0.6),
    coldest_c: -35.0,
    density: [
        [1026.177, 72.536_77, -65.325_47, 34.665_75, -15.827_85, -213.9879],
        [-0.535_005_9, -0.505_629_6, 0.175_127_8, -0.092_333, 0.028_774_33, 0.0],
        [-0.002_566_157, -0.000_170_357_9, 0.001_165_892, -0.000_207_517, 0.0, 0.0],
        [-5.177_362e-9, 9.673_215e-9, 3.368_862e-7, 0.0, 0.0, 0.0],
    ],
    specific_heat: [
        [3815.392, -1391.877, -1121.4, -419.3939, -243.53, 4054.145],
        [3.025_751, 5.558_605, -0.107_338_8, 0.529_072_5, -2.262_081, 0.0],
        [4.165_345e-5, -9.032_07e-5, -0.003_392_169, 0.010_794_72, 0.0, 0.0],
        [-4.309_483e-7, -1.335_18e-6, 3.538_903e-5, 0.0, 0.0, 0.0],
    ],
    ln_viscosity: [
        [-6.025_825, 3.573_663, -1.995_205, -6.425_11, 36.019_49, 53.508_79],
        [-0.032_843_99, -0.038_383_39, 0.082_235_32, 0.015_207_95, -1.123_741, 0.0],
        [0.000_249_200_9, 0.000_352_988_6, -0.000_511_954_7, -0.000_657_228_6, 0.0, 0.0],
        [-1.155_771e-6, -1.216_539e-6, 3.230_125e-6, 0.0, 0.0, 0.0],
    ],
    conductivity: [
        [0.432_977_1, -0.453_555_1, 0.184_501_2, -0.243_521_4, 0.062_664_85, 1.891_363],
        [0.000_733_886_9, -0.001_966_849, 0.000_986_139_7, -1.817_568e-5, -0.001_628_752, 0.0],
        [-5.424_175e-6, 1.100_798e-5, -3.754_805e-6, 5.476_691e-7, 0.0, 0.0],
        [5.879_754e-10, -6.777_235e-10, -2.213_073e-8, 0.0, 0.0, 0.0],
    ],
    freezing: Freezing::ExpOfPolynomial([
        5.546_103,
        -0.326_277,
        -0.666_687_3,
        -0.880_059_8,
        -1.071_417,
        -1.875_782,
    ]),
};

/// `CoolProp` `MPG.json`, from `Melinder2010`.
pub(super) const MPG: Fit = Fit {
    base_k: 305.858_3,
    base_fraction: 0.307_031,
    fractions: (0.0, 0.6),
    coldest_c: f64::NEG_INFINITY,
    density: [
        [1018.0, 76.04, -24.98, -155.0, -113.1, 234.2],
        [-0.5406, -0.945, 0.27, 2.829, -2.221, 0.0],
        [-0.002_666, 0.005_541, -0.004_018, -0.007_175, 0.0, 0.0],
        [1.347e-5, -1.343e-5, 3.376e-5, 0.0, 0.0, 0.0],
    ],
    specific_heat: [
        [3882.0, -1304.0, -1598.0, 353.9, 5000.0, -4959.0],
        [2.699, 5.07, 0.9534, 31.02, -71.35, 0.0],
        [-0.001_659, -0.004_752, 0.1167, -0.295, 0.0, 0.0],
        [-1.032e-5, 0.000_152_2, -0.000_487, 0.0, 0.0, 0.0],
    ],
    ln_viscosity: [
        [-6.224_055, 3.328, 0.5453, -3.9, -1.587, 35.64],
        [-0.030_45, -0.039_84, -0.000_86, 0.1054, 0.044_75, 0.0],
        [0.000_252_5, 0.000_433_2, -0.000_159_3, -0.001_589, 0.0, 0.0],
        [-1.399e-6, -1.86e-6, -4.465e-7, 0.0, 0.0, 0.0],
    ],
    conductivity: [
        [0.4513, -0.4795, 0.2076, -0.090_83, -0.059_52, 0.2104],
        [0.000_795_5, -0.001_678, 0.001_563, -0.002_518, -0.003_605, 0.0],
        [3.482e-8, 8.941e-6, -4.615e-5, 6.543e-5, 0.0, 0.0],
        [-5.966e-9, 1.493e-8, 9.897e-8, 0.0, 0.0, 0.0],
    ],
    freezing: Freezing::Polynomial([259.9, -66.31, -109.4, -228.3, -340.9, 146.5]),
};

/// `CoolProp` `MEG.json`, from `Melinder2010`.
pub(super) const MEG: Fit = Fit {
    base_k: 304.878,
    base_fraction: 0.308_462,
    fractions: (0.0, 0.6),
    coldest_c: f64::NEG_INFINITY,
    density: [
        [1034.0, 131.1, 0.749, -106.2, -96.23, 489.1],
        [-0.4781, -0.6876, 0.7855, 1.229, -7.211, 0.0],
        [-0.002_692, 0.004_805, -0.003_995, -0.011_53, 0.0, 0.0],
        [4.725e-6, 1.69e-6, 4.982e-5, 0.0, 0.0, 0.0],
    ],
    specific_heat: [
        [3737.0, -1799.0, -993.3, 2610.0, 1537.0, -16_180.0],
        [2.93, 10.46, 3.516, -1.189, -42.72, 0.0],
        [-0.004_675, -0.041_47, 0.051_09, -0.1643, 0.0, 0.0],
        [-1.389e-5, 1.847e-5, -0.000_713_8, 0.0, 0.0, 0.0],
    ],
    ln_viscosity: [
        [-6.437_255, 2.471, 0.033_28, 1.659, 3.089, -18.65],
        [-0.0255, -0.011_71, 0.010_86, 0.003_157, 0.018_31, 0.0],
        [0.000_178_2, 0.000_105_2, 0.000_105_1, 0.000_406_3, 0.0, 0.0],
        [-7.669e-7, -1.634e-6, -6.475e-6, 0.0, 0.0, 0.0],
    ],
    conductivity: [
        [0.472, -0.4286, 0.1747, 0.030_17, -0.1322, 0.2678],
        [0.000_890_3, -0.001_473, 0.000_681_4, -0.002_412, 0.002_555, 0.0],
        [-1.058e-6, 1.059e-5, -3.612e-5, 4.004e-5, 0.0, 0.0],
        [-2.789e-9, -1.142e-8, 2.365e-8, 0.0, 0.0, 0.0],
    ],
    freezing: Freezing::Polynomial([257.9, -80.8, -133.4, -72.93, 100.6, 11.4]),
};
