using System;

namespace Llia.Core
{
    /// <summary>
    /// Reads a signal between its samples: a Kaiser-windowed sinc of 16 taps (Smith, "Digital Audio Resampling"), tabled
    /// in 512 phases.
    /// </summary>
    internal sealed class Sinc
    {
        public const int Taps = 16;
        public const int SamplesBefore = Taps / 2 - 1;
        public const int SamplesAfter = Taps / 2;

        private const int Phases = 512;
        private const double Beta = 7.0;

        private readonly float[] m_table = new float[(Phases + 1) * Taps];

        /// <param name="fromHz">Rate of the signal.</param>
        /// <param name="toHz">Rate at which it is read; what lies above half of it is taken out.</param>
        public Sinc(int fromHz, int toHz)
        {
            var cutoff = Math.Min(1.0, (double)toHz / fromHz);
            for (var phase = 0; phase <= Phases; phase++)
            {
                var sum = 0.0;
                for (var tap = 0; tap < Taps; tap++)
                {
                    var x = tap - SamplesBefore - (double)phase / Phases;
                    var value = cutoff * SincOf(cutoff * x) * Window(x / (Taps / 2));
                    m_table[phase * Taps + tap] = (float)value;
                    sum += value;
                }
                for (var tap = 0; tap < Taps; tap++)
                {
                    m_table[phase * Taps + tap] /= (float)sum;
                }
            }
        }

        /// <summary>Where the taps of this position begin in the table.</summary>
        public int Row(double fraction)
        {
            return (int)(fraction * Phases + 0.5) * Taps;
        }

        /// <summary>Weights of the taps, row by row.</summary>
        public float[] Table
        {
            get { return m_table; }
        }

        private static double SincOf(double x)
        {
            return Math.Abs(x) < 1e-9 ? 1.0 : Math.Sin(Math.PI * x) / (Math.PI * x);
        }

        private static double Window(double x)
        {
            return Math.Abs(x) >= 1 ? 0.0 : Bessel(Beta * Math.Sqrt(1 - x * x)) / Bessel(Beta);
        }

        /// <summary>The modified Bessel function of order 0.</summary>
        private static double Bessel(double x)
        {
            var sum = 1.0;
            var term = 1.0;
            for (var k = 1; k < 40; k++)
            {
                term *= x / (2 * k) * (x / (2 * k));
                sum += term;
            }
            return sum;
        }
    }
}
