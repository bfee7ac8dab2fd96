namespace Llia.Core
{
    /// <summary>What an avatar does. <see cref="Auto"/> is only asked for: the daemon then finds out by itself.</summary>
    public enum AvatarState
    {
        Idle,
        Listening,
        Speaking,
        Auto,
    }

    public enum PixelFormat
    {
        Rgba,
        Bgra,
    }

    public enum AlphaMode
    {
        Straight,
        Premultiplied,
    }

    internal static class WireNames
    {
        public static string Of(AvatarState state)
        {
            switch (state)
            {
                case AvatarState.Listening: return "listening";
                case AvatarState.Speaking: return "speaking";
                case AvatarState.Auto: return "auto";
                default: return "idle";
            }
        }

        public static AvatarState State(TextSlice text)
        {
            if (text.Is("speaking"))
            {
                return AvatarState.Speaking;
            }
            if (text.Is("listening"))
            {
                return AvatarState.Listening;
            }
            if (text.Is("idle"))
            {
                return AvatarState.Idle;
            }
            throw new MalformedMessageException("there is no state '" + text.ToText() + "'");
        }

        public static string Of(PixelFormat format)
        {
            return format == PixelFormat.Bgra ? "BGRA" : "RGBA";
        }

        /// <summary>Only formats whose payload is the texture's bytes are asked for, so others are an error.</summary>
        public static PixelFormat Format(TextSlice text)
        {
            if (text.Is("RGBA"))
            {
                return PixelFormat.Rgba;
            }
            if (text.Is("BGRA"))
            {
                return PixelFormat.Bgra;
            }
            throw new MalformedMessageException("frames in the format '" + text.ToText() + "' are not shown; open the "
                + "avatar with RGBA or BGRA");
        }

        public static string Of(AlphaMode alpha)
        {
            return alpha == AlphaMode.Premultiplied ? "premultiplied" : "straight";
        }

        public static AlphaMode Alpha(TextSlice text)
        {
            return text.Is("premultiplied") ? AlphaMode.Premultiplied : AlphaMode.Straight;
        }
    }
}
