namespace Llia.Core
{
    /// <summary>Many channels to one.</summary>
    public static class Downmix
    {
        /// <summary>Writes the mean of the channels.</summary>
        /// <param name="interleaved">Whole frames.</param>
        /// <param name="mono">At least <paramref name="count"/> / <paramref name="channels"/> samples.</param>
        public static void Average(float[] interleaved, int count, int channels, float[] mono)
        {
            var frames = count / channels;
            for (var i = 0; i < frames; i++)
            {
                var sum = 0f;
                for (var channel = 0; channel < channels; channel++)
                {
                    sum += interleaved[i * channels + channel];
                }
                mono[i] = sum / channels;
            }
        }
    }
}
